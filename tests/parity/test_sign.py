# SPDX-License-Identifier: GPL-2.0-only
"""Signatures against the tree's sign-file: the same bytes where a signature is always the same."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from kbuildpy.compression import decompress
from kbuildpy.kernel.tree import KernelTree
from kbuildpy.run import run
from kbuildpy.signing.intact import is_intact
from kbuildpy.signing.manifest import digest, read_manifest
from kbuildpy.signing.signer import sign_module
from kbuildpy.signing.signer_certificate import load_certificate
from kbuildpy.signing.trailer import append_signature, split_signature, without_signatures
from tests.support.builds import kbuildpy
from tests.support.installs import configured_tree
from tests.support.kernel_trees import usual_tree
from tests.support.keys import CONTENTS, new_certificate, new_key, sign_file, signer_of, write_pair
from tests.support.shipped_modules import shipped

pytestmark = pytest.mark.parity


@pytest.fixture(scope="module")
def tree() -> KernelTree:
    return usual_tree()


@pytest.fixture(scope="module")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Key and certificate of each kind, in one file."""
    place = tmp_path_factory.mktemp("keys")
    return {kind: write_pair(place, kind) for kind in ("rsa2048", "rsa4096", "p256", "p384", "p521")}


def unsigned_modules(tree: KernelTree, count: int) -> Iterator[tuple[str, bytes]]:
    """Modules of the distribution without the signature that it gave them."""
    images = list(shipped(tree))
    for name, path in images[:: max(len(images) // count, 1)][:count]:
        yield name, without_signatures(decompress(path.read_bytes()))


def assert_same_as_sign_file(tree: KernelTree, pairs: dict[str, Path], count: int, scratch: Path) -> None:
    module = scratch / "module.ko"
    compared = 0
    for _, contents in unsigned_modules(tree, count):
        for kind in ("rsa2048", "rsa4096"):
            for hash in ("sha256", "sha384", "sha512"):
                module.write_bytes(contents)
                sign_file(tree, hash, pairs[kind], module)
                assert sign_module(contents, signer_of(pairs[kind], hash)) == module.read_bytes()
                compared += 1
        for hash in ("sha256", "sha384", "sha512"):
            signed = split_signature(sign_module(contents, signer_of(pairs["p256"], hash)) or b"")
            assert signed is not None
            assert is_intact(contents, signed.signature, load_certificate(pairs["p256"]))
    assert compared == 6 * count


def test_shipped_modules_are_signed_as_by_sign_file(tree: KernelTree, pairs: dict[str, Path], tmp_path: Path) -> None:
    assert_same_as_sign_file(tree, pairs, 4, tmp_path)


@pytest.mark.sweep
def test_three_hundred_shipped_modules_are_signed_as_by_sign_file(
    tree: KernelTree, pairs: dict[str, Path], tmp_path: Path
) -> None:
    assert_same_as_sign_file(tree, pairs, 300, tmp_path)


@pytest.mark.parametrize("use_key_id", [False, True])
@pytest.mark.parametrize("hash", ["sha1", "sha224", "sha256", "sha384", "sha512", "sha3-256", "sha3-384", "sha3-512"])
def test_every_hash_and_either_name_of_the_signer(
    hash: str, use_key_id: bool, tree: KernelTree, pairs: dict[str, Path], tmp_path: Path
) -> None:
    module = tmp_path / "module.ko"
    module.write_bytes(CONTENTS)
    sign_file(tree, hash, pairs["rsa2048"], module, *(["-k"] if use_key_id else []))
    assert sign_module(CONTENTS, signer_of(pairs["rsa2048"], hash, use_key_id=use_key_id)) == module.read_bytes()


@pytest.mark.parametrize("kind", ["p256", "p384", "p521"])
def test_either_verifies_what_the_other_signed_with_a_curve(
    kind: str, tree: KernelTree, pairs: dict[str, Path], tmp_path: Path
) -> None:
    module, pair = tmp_path / "module.ko", pairs[kind]
    module.write_bytes(CONTENTS)
    sign_file(tree, "sha256", pair, module)
    theirs = split_signature(module.read_bytes())
    assert theirs is not None and is_intact(CONTENTS, theirs.signature, load_certificate(pair))
    assert not is_intact(CONTENTS + b"x", theirs.signature, load_certificate(pair))
    (tmp_path / "ours.p7s").write_bytes(signer_of(pair, "sha256").detached(CONTENTS))
    (tmp_path / "contents").write_bytes(CONTENTS)
    options: list[str | Path] = [
        "-inform",
        "DER",
        "-in",
        "ours.p7s",
        "-content",
        "contents",
        "-binary",
        "-noverify",
        "-certfile",
        pair,
    ]
    run(["openssl", "cms", "-verify", *options, "-out", os.devnull], cwd=tmp_path)


def test_sign_files_modes(tree: KernelTree, pairs: dict[str, Path], tmp_path: Path) -> None:
    pair = pairs["rsa2048"]
    for options, ours in ((["-p"], ["-p"]), (["-d"], ["-d"])):
        outcome = []
        for name in ("theirs", "ours"):
            place = tmp_path / name
            place.mkdir(exist_ok=True)
            module = place / "module.ko"
            module.write_bytes(CONTENTS)
            if name == "theirs":
                sign_file(tree, "sha256", pair, module, *options)
            else:
                done = kbuildpy("sign", module, "--key", pair, "--hash", "sha256", *ours)
                assert done.returncode == 0, done.error_text
            outcome.append({path.name: path.read_bytes() for path in place.iterdir()})
        assert outcome[0] == outcome[1]
    signature = tmp_path / "ours/module.ko.p7s"
    theirs, mine = tmp_path / "theirs/module.ko", tmp_path / "ours/module.ko"
    run([tree.objects / "scripts/sign-file", "-s", signature, "sha256", pair, theirs])
    assert kbuildpy("sign", "-s", signature, mine).returncode == 0
    assert mine.read_bytes() == theirs.read_bytes() == append_signature(CONTENTS, signature.read_bytes())


def test_modinfo_reads_the_signature(pairs: dict[str, Path], tmp_path: Path, tree: KernelTree) -> None:
    name, contents = next(iter(unsigned_modules(tree, 1)))
    module = tmp_path / f"{Path(name).name}.ko"
    module.write_bytes(sign_module(contents, signer_of(pairs["rsa2048"], "sha512")) or b"")
    shown = run(["modinfo", module]).text
    serial = f"{load_certificate(pairs['rsa2048']).serial_number:X}"
    assert "signer:         the rsa2048 key" in shown
    assert "sig_hashalgo:   sha512" in shown
    assert serial in shown.replace(":", "").replace("\n\t\t", "")


def test_a_whole_directory_and_its_manifest(pairs: dict[str, Path], tmp_path: Path) -> None:
    place, manifest = tmp_path / "modules", tmp_path / "manifest.json"
    for number in range(40):
        path = place / str(number % 3) / f"m{number}.ko"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(CONTENTS + bytes([number]))
        path.chmod(0o640)
    before = {str(path): path.read_bytes() for path in place.rglob("*.ko")}
    words: list[str | Path] = ["sign", place, "--key", pairs["rsa2048"], "--hash", "sha256", "--manifest", manifest]
    done = kbuildpy(*words)
    assert done.returncode == 0, done.error_text
    assert "40 signed" in done.error_text
    entries = {entry.path: entry for entry in read_manifest(manifest)}
    assert sorted(entries) == sorted(before)
    for name, contents in before.items():
        signed = split_signature(Path(name).read_bytes())
        assert signed is not None and signed.contents == contents
        assert entries[name].sha256_before == digest(contents)
        assert entries[name].sha256_after == digest(Path(name).read_bytes())
        assert Path(name).stat().st_mode & 0o777 == 0o640
    again = kbuildpy(*words)
    assert "0 signed, 40 had this signature already" in again.error_text
    assert len(read_manifest(manifest)) == 40
    assert [path for path in place.rglob("*") if path.is_file()] and not list(place.rglob(".*"))


def test_verify_compares_with_the_manifest(pairs: dict[str, Path], tmp_path: Path) -> None:
    place, manifest = tmp_path / "modules", tmp_path / "manifest.json"
    place.mkdir()
    for number in range(5):
        (place / f"m{number}.ko").write_bytes(CONTENTS + bytes([number]))
    words: list[str | Path] = ["--key", pairs["rsa2048"], "--hash", "sha256"]
    assert kbuildpy("sign", place, *words, "--manifest", manifest).returncode == 0
    check: list[str | Path] = ["verify", "--cert", pairs["rsa2048"], "--manifest", manifest]
    for named in ([], [place]):
        done = kbuildpy(*check, *named)
        assert done.returncode == 0, done.error_text
        assert "5 of 5 trusted" in done.error_text
    (place / "m0.ko").write_bytes(CONTENTS)
    assert kbuildpy("sign", place / "m0.ko", *words).returncode == 0  # a good signature, and another file
    (place / "m1.ko").unlink()
    (place / "new.ko").write_bytes(CONTENTS)
    done = kbuildpy(*check, place)
    assert done.returncode == 1
    assert "3 of 6 trusted" in done.error_text
    for said in ("m0.ko: changed since it was signed", "m1.ko: No such file", "new.ko: not in the manifest"):
        assert said in done.error_text
    assert "Traceback" not in done.error_text


def test_json_has_one_object_for_each_file(pairs: dict[str, Path], tmp_path: Path) -> None:
    (tmp_path / "a.ko").write_bytes(CONTENTS)
    (tmp_path / "b.ko").write_bytes(append_signature(CONTENTS, b"nonsense"))
    done = kbuildpy("sign", tmp_path, "--key", pairs["rsa2048"], "--hash", "sha256", "--format", "json")
    assert done.returncode == 1
    objects = {Path(item["file"]).name: item for item in map(json.loads, done.text.splitlines())}
    assert objects["a.ko"]["signed"] is True and objects["a.ko"]["error"] is None
    assert objects["b.ko"]["signed"] is False and "signed already" in objects["b.ko"]["error"]


def test_a_signed_module_is_left_unless_told(pairs: dict[str, Path], tmp_path: Path) -> None:
    module = tmp_path / "m.ko"
    module.write_bytes(sign_module(CONTENTS, signer_of(pairs["rsa2048"], "sha256")) or b"")
    signed = module.read_bytes()
    words: list[str | Path] = ["sign", module, "--key", pairs["rsa4096"], "--hash", "sha256"]
    done = kbuildpy(*words)
    assert (done.returncode, module.read_bytes()) == (1, signed)
    assert "it is signed already" in done.error_text and "--replace" in done.error_text
    words += ["--replace", "--manifest", tmp_path / "manifest"]
    for _ in range(2):
        assert kbuildpy(*words).returncode == 0
        assert module.read_bytes() == sign_module(CONTENTS, signer_of(pairs["rsa4096"], "sha256"))
    # The second run finds it done, and does not know any more what was replaced.
    assert [entry.sha256_before for entry in read_manifest(tmp_path / "manifest")] == [digest(signed)]


def test_the_kernel_says_which_hash(tree: KernelTree, pairs: dict[str, Path], tmp_path: Path) -> None:
    module = tmp_path / "m.ko"
    module.write_bytes(CONTENTS)
    # (Debian's name the one that would be taken anyway)
    kdir = configured_tree(tree, tmp_path / "tree", {"CONFIG_MODULE_SIG_HASH": '"sha384"'})
    assert kbuildpy("sign", module, "--key", pairs["rsa2048"], "-k", str(kdir)).returncode == 0
    assert module.read_bytes() == sign_module(CONTENTS, signer_of(pairs["rsa2048"], "sha384"))


@pytest.mark.parametrize("form", ["PKCS8 DER", "traditional PEM", "certificate DER"])
def test_keys_and_certificates_in_every_form(form: str, tmp_path: Path) -> None:
    key = new_key("rsa2048")
    certificate = new_certificate(key, "forms")
    encoding = Encoding.DER if "DER" in form else Encoding.PEM
    layout = PrivateFormat.TraditionalOpenSSL if "traditional" in form else PrivateFormat.PKCS8
    (tmp_path / "key").write_bytes(key.private_bytes(encoding, layout, NoEncryption()))
    (tmp_path / "cert").write_bytes(certificate.public_bytes(encoding))
    (tmp_path / "m.ko").write_bytes(CONTENTS)
    words: list[str | Path] = ["--key", tmp_path / "key", "--cert", tmp_path / "cert", "--hash", "sha256"]
    done = kbuildpy("sign", tmp_path / "m.ko", *words)
    assert done.returncode == 0, done.error_text
    signed = split_signature((tmp_path / "m.ko").read_bytes())
    assert signed is not None and is_intact(CONTENTS, signed.signature, certificate)


SECRET = "kept to ourselves 7#"


def test_a_passphrase_comes_from_the_environment_and_goes_nowhere(tmp_path: Path) -> None:
    pair, module = write_pair(tmp_path, "rsa2048", passphrase=SECRET), tmp_path / "m.ko"
    module.write_bytes(CONTENTS)
    words: list[str | Path] = ["sign", module, "--key", pair, "--hash", "sha256"]
    for pin, status, said in (("wrong", 1, "does not open"), (None, 1, "has a passphrase"), (SECRET, 0, "1 signed")):
        environment = {} if pin is None else {"KBUILD_SIGN_PIN": pin}
        done = kbuildpy(*words, env=environment)
        assert done.returncode == status
        assert said in done.error_text
        assert SECRET not in done.text + done.error_text and "Traceback" not in done.error_text


def test_a_passphrase_is_asked_for_on_a_terminal(tmp_path: Path) -> None:
    pair, module = write_pair(tmp_path, "rsa2048", passphrase=SECRET), tmp_path / "m.ko"
    module.write_bytes(CONTENTS)
    argv = [sys.executable, "-m", "kbuildpy", "sign", str(module), "--key", str(pair), "--hash", "sha256"]
    child, terminal = pty.fork()
    if child == 0:
        os.execv(argv[0], argv)
    shown = b""
    while b"Passphrase of " not in shown:
        shown += os.read(terminal, 1000)
    os.write(terminal, SECRET.encode() + b"\n")
    # What the terminal echoes comes now.
    with suppress(OSError):
        while True:
            shown += os.read(terminal, 1000)
    _, status = os.waitpid(child, 0)
    assert status == 0
    assert b"1 signed" in shown
    assert SECRET.encode() not in shown
    assert split_signature(module.read_bytes()) is not None


def test_a_key_that_is_not_the_certificates_signs_nothing(pairs: dict[str, Path], tmp_path: Path) -> None:
    (tmp_path / "m.ko").write_bytes(CONTENTS)
    words: list[str | Path] = ["--key", pairs["rsa2048"], "--cert", pairs["rsa4096"], "--hash", "sha256"]
    done = kbuildpy("sign", tmp_path / "m.ko", *words)
    assert done.returncode == 1 and "does not belong to the certificate" in done.error_text
    assert (tmp_path / "m.ko").read_bytes() == CONTENTS


def test_an_expired_certificate_is_warned_of_and_signs(tree: KernelTree, tmp_path: Path) -> None:
    pair = write_pair(tmp_path, "rsa2048", days=-10)
    for name in ("theirs", "ours"):
        (tmp_path / f"{name}.ko").write_bytes(CONTENTS)
    sign_file(tree, "sha256", pair, tmp_path / "theirs.ko")
    done = kbuildpy("sign", tmp_path / "ours.ko", "--key", pair, "--hash", "sha256")
    assert done.returncode == 0 and "warning" in done.error_text and "expired on" in done.error_text
    assert (tmp_path / "ours.ko").read_bytes() == (tmp_path / "theirs.ko").read_bytes()


@pytest.mark.parametrize(
    ("words", "status", "said"),
    [
        (["m.ko"], 2, "no key to sign with"),
        (["none.ko", "--key", "KEY"], 2, "none.ko: no such file"),
        (["m.ko", "--key", "none.pem"], 2, "none.pem: No such file or directory\n  kbuildpy keygen none.pem "),
        (["m.ko", "--key", "KEY", "--cert", "none.crt"], 2, "none.crt: No such file or directory\n  kbuildpy keygen "),
        (["m.ko", "--key", "m.ko"], 1, "m.ko: no"),
        (
            ["m.ko", "--key", "KEY", "--cert", "alone"],
            1,
            "alone: not an X.509 certificate\n  it is a private ",
        ),
        (["m.ko", "--key", "KEY", "--hash", "md5"], 2, "md5: no such hash"),
        (["empty", "--key", "KEY"], 2, "no modules below empty"),
        (["m.ko", "-s", "m.ko"], 1, "not a CMS message"),
        (["m.ko", "-s", "m.ko", "--key", "KEY"], 2, "takes no key"),
        (["m.ko", "--key", "KEY", "--manifest", "m.ko"], 1, "not a line of a manifest"),
    ],
)
def test_wrong_calls(words: list[str], status: int, said: str, pairs: dict[str, Path], tmp_path: Path) -> None:
    (tmp_path / "m.ko").write_bytes(CONTENTS + b"\n")
    (tmp_path / "empty").mkdir()
    (tmp_path / "alone").write_text("-----BEGIN PRIVATE KEY-----\nMA==\n-----END PRIVATE KEY-----\n")
    given = [str(pairs["rsa2048"]) if word == "KEY" else word for word in words]
    argv = [sys.executable, "-m", "kbuildpy", "sign", *given]
    done = subprocess.run(argv, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == status, done.stderr
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert (tmp_path / "m.ko").read_bytes() == CONTENTS + b"\n"
