# SPDX-License-Identifier: GPL-2.0-only
"""Signatures that the kernel tree's sign-file makes, and a distribution's modules; OpenSSL and modinfo agree."""

from __future__ import annotations

import json
import lzma
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from kbuildpy.cli import main
from kbuildpy.errors import KbuildError
from kbuildpy.kernel.find import installed_trees
from kbuildpy.kernel.find_image import find_kernel_image
from kbuildpy.kernel.tree import KernelTree
from kbuildpy.run import run
from kbuildpy.signing.anchors import load_certificates
from kbuildpy.signing.describe import as_modinfo
from kbuildpy.signing.kernel_image import load_kernel
from kbuildpy.signing.keyring import Keyring
from kbuildpy.signing.trailer import append_signature, split_signature
from kbuildpy.signing.verify import verify, verify_file
from tests.support.packages import unpacked

pytestmark = pytest.mark.parity

KEYS = {
    "rsa2048": ["-newkey", "rsa:2048"],
    "rsa4096": ["-newkey", "rsa:4096"],
    "p256": ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"],
    "p384": ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-384"],
}
HASHES = ("sha1", "sha224", "sha256", "sha384", "sha512")
SHIPPED = "linux-image-6.1.0-56-amd64"


@pytest.fixture(scope="session")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Keys and certificates of every kind, each in one PEM file, as certs/signing_key.pem is."""
    directory = tmp_path_factory.mktemp("keys")
    for name, options in KEYS.items():
        file = directory / f"{name}.pem"
        argv = ["openssl", "req", "-x509", "-nodes", *options, "-keyout", f"{file}", "-out", f"{directory}/certificate"]
        run([*argv, "-days", "1", "-subj", f"/O=kbuildpy/CN=A {name} key"])
        file.write_bytes(file.read_bytes() + (directory / "certificate").read_bytes())
    return directory


@cache
def tree() -> KernelTree:
    trees = [item for item in installed_trees().trees if (item.objects / "scripts/sign-file").is_file()]
    if not trees:
        pytest.skip("no kernel tree with sign-file is installed")
    return trees[0]


@cache
def unsigned() -> bytes:
    """A shipped module, without its signature."""
    module = split_signature(next(shipped_modules()).read_bytes())
    assert module is not None
    return module.contents


def shipped_modules() -> Any:
    try:
        package = unpacked(SHIPPED)
    except KbuildError as error:
        pytest.skip(str(error))
    return package.rglob("h*.ko")


def signed_by_tree(place: Path, key: str, hash: str, *options: str) -> Path:
    module = place / "signed.ko"
    module.write_bytes(unsigned())
    pem = place / f"{key}.pem"
    run([tree().objects / "scripts/sign-file", *options, hash, pem, pem, module])
    return module


def openssl_agrees(place: Path, key: str, module: bytes) -> bool:
    taken = split_signature(module)
    assert taken is not None
    (place / "signature").write_bytes(taken.signature)
    (place / "contents").write_bytes(taken.contents)
    argv = ["openssl", "cms", "-verify", "-binary", "-inform", "DER", "-in", f"{place}/signature", "-out", "/dev/null"]
    argv += ["-content", f"{place}/contents", "-certfile", f"{place}/{key}.pem", "-noverify", "-nointern"]
    return run(argv, check=False).returncode == 0


@pytest.mark.parametrize("hash", HASHES)
@pytest.mark.parametrize("key", KEYS)
def test_what_sign_file_signs_is_trusted_and_openssl_says_so_too(place: Path, key: str, hash: str) -> None:
    keyring = Keyring(certificates=load_certificates(place / f"{key}.pem"))
    for options in ((), ("-k",)):
        module = signed_by_tree(place, key, hash, *options).read_bytes()
        (state,) = verify(module, [keyring])
        assert (state.valid, state.trusted, state.hash, state.signer) == (True, True, hash, f"A {key} key")
        assert openssl_agrees(place, key, module)
        damaged = module.replace(b"license=", b"License=", 1)
        assert damaged != module
        (state,) = verify(damaged, [keyring])
        assert (state.valid, state.trusted, state.errno) == (False, False, "EKEYREJECTED")
        assert not openssl_agrees(place, key, damaged)


def test_every_bit_of_a_signature_counts_for_openssl_and_for_us(place: Path) -> None:
    keyring = Keyring(certificates=load_certificates(place / "p256.pem"))
    module = signed_by_tree(place, "p256", "sha256").read_bytes()
    taken = split_signature(module)
    assert taken is not None
    start = len(taken.contents) + len(taken.signature) - 64
    for place_of_bit in range(start, start + 64, 7):
        damaged = module[:place_of_bit] + bytes([module[place_of_bit] ^ 4]) + module[place_of_bit + 1 :]
        (state,) = verify(damaged, [keyring])
        assert not state.trusted and not openssl_agrees(place, "p256", damaged)


def signature_fields(path: Path) -> str:
    """modinfo's lines from sig_id up to the end of the signature."""
    lines = run(["modinfo", path]).text.splitlines()
    first = next(number for number, line in enumerate(lines) if line.startswith("sig_id:"))
    last = next(number for number, line in enumerate(lines) if line.startswith("signature:"))
    while last + 1 < len(lines) and lines[last + 1].startswith("\t"):
        last += 1
    return "\n".join(lines[first : last + 1])


@pytest.mark.parametrize("hash", HASHES)
@pytest.mark.parametrize("key", ["rsa2048", "p384"])
def test_modinfo_prints_the_same_of_a_signature(place: Path, key: str, hash: str) -> None:
    module = signed_by_tree(place, key, hash)
    (state,) = verify_file(module, [Keyring()])
    assert as_modinfo(state) == signature_fields(module)


def test_certificates_in_a_signature_lead_to_a_trusted_one(place: Path) -> None:
    """A signature with certificates in it, as OpenSSL makes them and the kernel takes them: only the issuer of the
    signer's certificate is trusted."""
    leaf = ["openssl", "req", "-new", "-nodes", "-newkey", "rsa:2048", "-keyout", f"{place}/leaf.key"]
    run([*leaf, "-subj", "/CN=A leaf", "-out", place / "leaf.request"])
    (place / "extensions").write_text("subjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid\n")
    sign = ["openssl", "x509", "-req", "-in", f"{place}/leaf.request", "-extfile", f"{place}/extensions"]
    sign += ["-CA", f"{place}/p256.pem", "-CAkey", f"{place}/p256.pem", "-set_serial", "7", "-days", "1"]
    run([*sign, "-out", place / "leaf.pem"])
    (place / "contents").write_bytes(unsigned())
    cms = ["openssl", "cms", "-sign", "-binary", "-noattr", "-md", "sha256", "-outform", "DER"]
    cms += ["-in", f"{place}/contents", "-signer", f"{place}/leaf.pem", "-inkey", f"{place}/leaf.key"]
    run([*cms, "-out", place / "signature"])
    module = append_signature(unsigned(), (place / "signature").read_bytes())
    above, other = (load_certificates(place / f"{name}.pem") for name in ("p256", "p384"))
    leaf_certificate = load_certificates(place / "leaf.pem")
    results = {
        "issuer": verify(module, [Keyring(certificates=above)])[0],
        "itself": verify(module, [Keyring(certificates=leaf_certificate)])[0],
        "another": verify(module, [Keyring(certificates=other)])[0],
        "revoked issuer": verify(module, [Keyring(certificates=leaf_certificate, revoked=above)])[0],
    }
    assert {name: state.trusted for name, state in results.items()} == {
        "issuer": True,
        "itself": True,
        "another": False,
        "revoked issuer": False,
    }
    assert results["another"].valid and results["another"].errno == "ENOKEY"
    (state,) = verify(module.replace(b"license=", b"License=", 1), [Keyring(certificates=above)])
    assert (state.valid, state.errno) == (False, "EKEYREJECTED")


# --- What a distribution ships


@cache
def shipped_keyring() -> Keyring:
    try:
        package = unpacked(SHIPPED)
    except KbuildError as error:
        pytest.skip(str(error))
    return load_kernel(next(package.glob("boot/vmlinuz-*")))


@cache
def other_keyring() -> Keyring:
    for tree_ in installed_trees().trees:
        if tree_.release.startswith("6.12."):
            try:
                image = find_kernel_image(tree_.release)
            except KbuildError:
                continue
            return load_kernel(image)
    pytest.skip("no image of a 6.12 kernel is here")


def test_shipped_modules_are_trusted_by_their_own_kernel_and_no_other() -> None:
    own, other = shipped_keyring(), other_keyring()
    modules = sorted(shipped_modules())
    assert len(modules) > 100
    for path in modules:
        by_own, by_other = verify_file(path, [own, other])
        assert (by_own.valid, by_own.trusted) == (True, True), path
        assert (by_other.valid, by_other.trusted, by_other.errno) == (None, False, "ENOKEY"), path


def test_compressed_modules_are_trusted_by_their_own_kernel_and_no_other(tmp_path: Path) -> None:
    own, other = other_keyring(), shipped_keyring()
    modules = sorted(Path(f"/lib/modules/{own.kernel}/kernel").rglob("h*.ko.xz"))
    if not modules:
        pytest.skip(f"the modules of {own.kernel} are not installed")
    for path in modules:
        by_own, by_other = verify_file(path, [own, other])
        assert by_own.trusted and not by_other.trusted, path
    (tmp_path / "x.ko.zst").write_bytes(run(["zstd", "-c"], input=lzma.decompress(modules[0].read_bytes())).stdout)
    assert verify_file(tmp_path / "x.ko.zst", [own])[0].trusted


def test_the_certificate_of_a_kernel_is_the_one_that_openssl_reads(tmp_path: Path) -> None:
    for keyring in (shipped_keyring(), other_keyring()):
        for certificate in keyring.certificates:
            (tmp_path / "der").write_bytes(certificate.der)
            argv = ["openssl", "x509", "-inform", "DER", "-in", f"{tmp_path}/der", "-noout", "-serial"]
            assert run(argv).text.strip() == f"serial={certificate.serial:X}"


@pytest.mark.sweep
def test_every_shipped_module_is_trusted(capsys: pytest.CaptureFixture[str]) -> None:
    image = next(unpacked(SHIPPED).glob("boot/vmlinuz-*"))
    assert main(["verify", str(unpacked(SHIPPED)), "-k", str(image)]) == 0
    assert capsys.readouterr().err == "4023 of 4023 trusted\n"
    own = other_keyring()
    assert main(["verify", f"/lib/modules/{own.kernel}", "-q", "-k", own.kernel]) == 0


# --- The command


def output(capsys: pytest.CaptureFixture[str], *words: str | Path) -> tuple[int, list[dict[str, Any]]]:
    status = main(["verify", "--format", "json", *map(str, words)])
    return status, [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_the_command_prints_an_object_for_each_file_and_kernel(
    place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    image = next(unpacked(SHIPPED).glob("boot/vmlinuz-*"))
    (tmp_path / "a.ko").write_bytes(next(shipped_modules()).read_bytes())
    (tmp_path / "b.ko").write_bytes(signed_by_tree(place, "p256", "sha256").read_bytes())
    (tmp_path / "c.ko").write_bytes(unsigned())
    status, results = output(capsys, tmp_path, "-k", image)
    assert status == 1
    assert [(Path(str(item["file"])).name, item["signed"], item["valid"], item["trusted"]) for item in results] == [
        ("a.ko", True, True, True),
        ("b.ko", True, None, False),
        ("c.ko", False, False, False),
    ]
    keys = ["file", "signed", "valid", "trusted", "signer", "serial", "hash", "algorithm", "reason"]
    assert set(keys) <= set(results[0])
    assert results[0]["kernel"] == "6.1.0-56-amd64"
    both = (tmp_path / "a.ko", tmp_path / "b.ko")
    # (Debian has no ECDSA in its 6.1, which cannot load such a certificate: tests/vm/test_loadable_keys.py)
    status, results = output(capsys, *both, "-k", image, "--cert", place / "p256.pem")
    assert (status, results[1]["valid"], results[1]["trusted"]) == (1, True, False)
    assert str(results[1]["reason"]).startswith(
        "the kernel cannot load its certificate (ENOENT), which has an ECDSA key"
    )
    (tmp_path / "b.ko").write_bytes(signed_by_tree(place, "rsa2048", "sha256").read_bytes())
    assert output(capsys, *both, "-k", image, "--cert", place / "rsa2048.pem")[0] == 0
    (tmp_path / "b.ko").write_bytes(signed_by_tree(place, "p256", "sha256").read_bytes())
    assert output(capsys, tmp_path / "b.ko", "--cert", place / "p256.pem", "--revoked", place / "p256.pem")[0] == 1


def test_a_wrong_call_has_a_status_of_its_own(place: Path, tmp_path: Path) -> None:
    (tmp_path / "c.ko").write_bytes(unsigned())
    for words in (
        [tmp_path / "c.ko"],
        [tmp_path / "none.ko", "--cert", place / "p256.pem"],
        [place, "--cert", place / "p256.pem", "-j", "-1"],
        [tmp_path / "c.ko", "-k", "/nowhere/at/all"],
        [tmp_path / "c.ko", "-k", "no-such-release"],
    ):
        argv = ["python", "-m", "kbuildpy", "verify", *map(str, words)]
        assert subprocess.run(argv, capture_output=True).returncode == 2, words


def test_a_reader_that_leaves_early_is_no_error() -> None:
    image = next(unpacked(SHIPPED).glob("boot/vmlinuz-*"))
    command = f"python -m kbuildpy verify {unpacked(SHIPPED)} -k {image} | head -1"
    done = subprocess.run(["sh", "-c", command], capture_output=True, timeout=60)
    assert done.stdout.count(b"\n") == 1 and b"Traceback" not in done.stderr
