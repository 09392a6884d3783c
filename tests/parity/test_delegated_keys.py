# SPDX-License-Identifier: GPL-2.0-only
"""Delegated keys beside OpenSSL: it takes the certificates, and makes the same signatures."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest

from kbuildpy.run import run
from tests.support.builds import kbuildpy

pytestmark = [pytest.mark.parity, pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is missing")]

MODULE = b"\x7fELF" + bytes(range(256)) * 8


def keygen(place: Path, name: str, *words: str, status: int = 0) -> str:
    done = kbuildpy("keygen", f"{name}.pem", "--cn", name, *words, cwd=place)
    assert done.returncode == status and "Traceback" not in done.error_text, done.error_text
    return done.text + done.error_text


def delegate(place: Path, name: str, of: str, *words: str) -> str:
    return keygen(place, name, "--days", "7", "--delegate-of", f"{of}.pem", "--delegate-cert", f"{of}.crt", *words)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Keys: a root, one below it, and one below that, each of another kind."""
    found = tmp_path_factory.mktemp("keys")
    keygen(found, "root", "--ca", "-a", "rsa-2048")
    delegate(found, "middle", "root", "--ca", "-a", "p-384", "--hash", "sha512")
    delegate(found, "leaf", "middle", "-a", "p-256", "--hash", "sha384")
    (found / "m.ko").write_bytes(MODULE)
    return found


def test_openssl_takes_the_chain(place: Path) -> None:
    run(["openssl", "verify", "-x509_strict", "-CAfile", "root.crt", "-untrusted", "middle.crt", "leaf.crt"], cwd=place)
    other = run(["openssl", "verify", "-CAfile", "root.crt", "leaf.x509"], cwd=place, check=False)
    assert other.returncode != 0


def test_a_root_that_may_not_sign_certificates_delegates_for_the_kernel_only(tmp_path: Path) -> None:
    keygen(tmp_path, "root", "-a", "p-256")
    said = delegate(tmp_path, "leaf", "root", "-a", "p-256")
    assert "warning: kernels look at no dates" in said and "To revoke it: leaf.blacklist" in said
    words = ["openssl", "verify", "-partial_chain", "-trusted", "root.crt", "leaf.crt"]
    assert "invalid CA certificate" in run(words, cwd=tmp_path, check=False).error_text


@pytest.mark.parametrize("by_key_id", [False, True])
def test_the_signature_is_openssls_but_for_its_random_part(place: Path, tmp_path: Path, by_key_id: bool) -> None:
    for name in ("root", "middle", "leaf"):
        shutil.copy(place / f"{name}.crt", tmp_path)
    delegate(place, f"rsa{by_key_id}", "middle", "-a", "rsa-2048")
    key, certificate = (str(place / f"rsa{by_key_id}.{ending}") for ending in ("pem", "crt"))
    names = ["--key", key, "--cert", certificate, "--hash", "sha256"]
    shutil.copy(place / "m.ko", tmp_path)
    done = kbuildpy(
        "sign", "m.ko", *names, "-d", "--embed-certificates", *(["--key-id"] if by_key_id else []), cwd=tmp_path
    )
    assert done.returncode == 0, done.error_text
    words = [
        "-binary",
        "-noattr",
        "-nosmimecap",
        "-outform",
        "DER",
        "-md",
        "sha256",
        *(["-keyid"] if by_key_id else []),
    ]
    own = ["-signer", certificate, "-inkey", key]
    run(["openssl", "cms", "-sign", *words, *own, "-certfile", "middle.crt", "-in", "m.ko", "-out", "o"], cwd=tmp_path)
    assert (tmp_path / "m.ko.p7s").read_bytes() == (tmp_path / "o").read_bytes()


def test_verify_tells_who_delegated_and_revokes(place: Path, tmp_path: Path) -> None:
    shutil.copy(place / "m.ko", tmp_path)
    names = ["--key", str(place / "leaf.pem"), "--cert", str(place / "leaf.crt"), "--hash", "sha256"]
    assert kbuildpy("sign", tmp_path / "m.ko", *names, "--embed-certificates").returncode == 0
    # (the same once more; without the certificates it is another signature)
    again = kbuildpy("sign", tmp_path / "m.ko", *names, "--embed-certificates")
    assert again.returncode == 0 and "1 had this signature already" in again.error_text
    assert "it is signed already" in kbuildpy("sign", tmp_path / "m.ko", *names).error_text
    done = kbuildpy("verify", tmp_path / "m.ko", "--cert", place / "root.crt")
    assert done.returncode == 0
    assert (
        "trusted, signed by leaf, a delegate of middle until " in done.text and "a delegate of root until" in done.text
    )
    found = json.loads(kbuildpy("verify", tmp_path / "m.ko", "--cert", place / "root.crt", "--format", "json").text)
    assert [(item["name"], item["issuer"]) for item in found["delegates"]] == [("leaf", "middle"), ("middle", "root")]
    assert all(item["not_before"] < item["not_after"] for item in found["delegates"])
    for revoked in ("leaf", "middle"):
        words = ["--cert", str(place / "root.crt"), "--revoked", str(place / f"{revoked}.blacklist")]
        done = kbuildpy("verify", tmp_path / "m.ko", *words)
        assert done.returncode == 1 and "a certificate that comes with the signature is blacklisted" in done.text


def test_a_signature_without_the_delegates_certificate_is_warned_of_and_named_rightly(
    place: Path, tmp_path: Path
) -> None:
    for name in ("a.ko", "b.ko"):
        shutil.copy(place / "m.ko", tmp_path / name)

    def names(key: str) -> list[str]:
        return ["--key", str(place / f"{key}.pem"), "--cert", str(place / f"{key}.crt"), "--hash", "sha256"]

    done = kbuildpy("sign", tmp_path, *names("leaf"))
    assert done.returncode == 0 and done.error_text.count("warning:") == 1, done.error_text
    assert "leaf.crt: middle has issued this certificate" in done.error_text
    assert "--embed-certificates" in done.error_text
    # openssl tells the signer's own name, once it has the certificate that the signature names
    assert kbuildpy("sign", place / "m.ko", *names("leaf"), "-d").returncode == 0
    words = ["-inform", "DER", "-in", "m.ko.p7s", "-content", "m.ko", "-binary", "-noverify", "-certfile", "leaf.crt"]
    run(["openssl", "cms", "-verify", *words, "-signer", "signer.pem", "-out", "contents"], cwd=place)
    subject = run(["openssl", "x509", "-noout", "-subject", "-nameopt", "multiline", "-in", "signer.pem"], cwd=place)
    name = subject.text.split("=")[-1].strip()
    known = kbuildpy("verify", tmp_path / "a.ko", "--cert", place / "leaf.crt")
    assert f"a.ko: trusted, signed by {name}, a delegate of middle (" in known.text
    unknown = kbuildpy("verify", tmp_path / "a.ko", "--cert", place / "root.crt")
    assert unknown.returncode == 1 and "signed by the key of a certificate that middle issued (" in unknown.text
    told = kbuildpy("verify", tmp_path / "a.ko", "--cert", place / "leaf.crt", "--format", "json").text
    assert (json.loads(told)["certificate"], json.loads(told)["signer"]) == (name, "middle")


def test_a_certificate_that_signs_itself_needs_no_company(place: Path, tmp_path: Path) -> None:
    shutil.copy(place / "m.ko", tmp_path)
    words = ["--key", str(place / "root.pem"), "--cert", str(place / "root.crt"), "--hash", "sha256"]
    assert "warning" not in kbuildpy("sign", tmp_path / "m.ko", *words).error_text
    assert "trusted, signed by root (" in kbuildpy("verify", tmp_path / "m.ko", "--cert", place / "root.crt").text


def test_wrong_calls_write_nothing(place: Path, tmp_path: Path) -> None:
    root, another = str(place / "root.pem"), "does not belong to the certificate"
    calls = {
        ("--delegate-cert", str(place / "root.crt")): "--delegate-cert is for --delegate-of KEY",
        ("--delegate-of", root, "--delegate-cert", str(place / "leaf.crt")): another,
        ("--delegate-of", "none.pem"): "none.pem: No such file or directory",
        ("--delegate-of", root): "root.pem: not an X.509 certificate",
    }
    for words, said in calls.items():
        done = kbuildpy("keygen", "k.pem", *words, cwd=tmp_path)
        assert done.returncode in (1, 2) and said in done.error_text, done.error_text
        assert list(tmp_path.iterdir()) == []


def test_a_kernel_compiles_what_revokes_a_delegate(place: Path, tmp_path: Path) -> None:
    """(certs/blacklist_hashes.c includes the list, with `, NULL` behind it; its items are checked before.)"""
    listed = (place / "leaf.blacklist").read_text()
    assert all(re.fullmatch(r'\s*"(?:tbs|bin):(?:[0-9a-f]{2}){1,64}"\s*', item) for item in listed.split(","))
    source = tmp_path / "list.c"
    source.write_text(f"const char *const list[] = {{\n{listed}, (void *)0\n}};\n")
    run(["gcc", "-fsyntax-only", source])
