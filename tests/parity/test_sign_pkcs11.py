# SPDX-License-Identifier: GPL-2.0-only
"""`kbuildpy sign` with keys on a token, against the tree's sign-file with the same keys in files."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from kbuildpy.kernel.tree import KernelTree
from kbuildpy.signing.intact import is_intact
from kbuildpy.signing.signer_certificate import load_certificate
from kbuildpy.signing.trailer import is_signed, split_signature
from tests.support import softhsm
from tests.support.builds import kbuildpy
from tests.support.kernel_trees import usual_tree
from tests.support.keys import sign_file, write_pair

pytestmark = pytest.mark.parity

CONTENTS = b"\x7fELF" + bytes(range(256)) * 20
KINDS = ("rsa2048", "rsa4096", "p256", "p384")


@pytest.fixture(scope="module")
def tree() -> KernelTree:
    return usual_tree()


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Where the keys that a token called `release` has lie as files, each with its certificate."""
    place = tmp_path_factory.mktemp("token")
    with pytest.MonkeyPatch.context() as patch:
        softhsm.configure(place, patch)
        softhsm.make_token("release")
        for number, kind in enumerate(KINDS, 1):
            softhsm.import_key("release", write_pair(place, kind), kind, f"{number:02x}")
        yield place


def sign(keys: Path, kind: str, *files: Path, pin: str = softhsm.PIN, options: tuple[str, ...] = ()) -> tuple[int, str]:
    """The status of `kbuildpy sign`, and all that it printed."""
    words = ["--key", f"pkcs11:token=release;object={kind};type=private", "--cert", str(keys / f"{kind}.pem")]
    done = kbuildpy("sign", *files, *words, "--hash", "sha256", *options, env={"KBUILD_SIGN_PIN": pin})
    return done.returncode, done.text + done.error_text


@pytest.mark.parametrize("kind", ["rsa2048", "rsa4096"])
def test_signs_as_sign_file_does_with_the_same_rsa_key(tree: KernelTree, keys: Path, kind: str, tmp_path: Path) -> None:
    for hash in ("sha256", "sha384", "sha512"):
        for name in ("ours.ko", "theirs.ko"):
            (tmp_path / name).write_bytes(CONTENTS)
        sign_file(tree, hash, keys / f"{kind}.pem", tmp_path / "theirs.ko")
        assert sign(keys, kind, tmp_path / "ours.ko", options=("--hash", hash))[0] == 0
        assert (tmp_path / "ours.ko").read_bytes() == (tmp_path / "theirs.ko").read_bytes()


@pytest.mark.parametrize("kind", ["p256", "p384"])
def test_signs_with_an_ecdsa_key(keys: Path, kind: str, tmp_path: Path) -> None:
    (tmp_path / "m.ko").write_bytes(CONTENTS)
    assert sign(keys, kind, tmp_path / "m.ko")[0] == 0
    signed = split_signature((tmp_path / "m.ko").read_bytes())
    assert signed is not None and signed.contents == CONTENTS
    assert is_intact(signed.contents, signed.signature, load_certificate(keys / f"{kind}.pem"))


@pytest.mark.parametrize("kind", ["rsa2048", "p384"])
def test_a_key_on_a_token_delegates_once_and_is_not_needed_again(
    keys: Path, kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    uri = f"pkcs11:token=release;object={kind};type=private"
    words = ["--delegate-of", uri, "--delegate-cert", str(keys / f"{kind}.pem"), "-a", "p-256", "--days", "7"]
    made = kbuildpy("keygen", tmp_path / "day.pem", *words, env={"KBUILD_SIGN_PIN": softhsm.PIN})
    assert made.returncode == 0, made.error_text
    monkeypatch.setenv("PKCS11_MODULE_PATH", "/nowhere")
    (tmp_path / "m.ko").write_bytes(CONTENTS)
    names = ["--key", str(tmp_path / "day.pem"), "--cert", str(tmp_path / "day.crt"), "--hash", "sha256"]
    assert kbuildpy("sign", tmp_path / "m.ko", *names, "--embed-certificates").returncode == 0
    done = kbuildpy("verify", tmp_path / "m.ko", "--cert", keys / f"{kind}.pem")
    assert done.returncode == 0 and "a delegate of " in done.text, done.text


def test_refuses_the_certificate_of_another_key(keys: Path, tmp_path: Path) -> None:
    (tmp_path / "m.ko").write_bytes(CONTENTS)
    status, said = sign(keys, "rsa2048", tmp_path / "m.ko", options=("--cert", str(keys / "p256.pem")))
    assert status == 1 and "does not belong to the certificate" in said
    assert (tmp_path / "m.ko").read_bytes() == CONTENTS


def test_says_that_the_token_has_no_certificate(keys: Path, tmp_path: Path) -> None:
    (tmp_path / "m.ko").write_bytes(CONTENTS)
    words = ["--key", "pkcs11:token=release;object=p256", "--hash", "sha256"]
    done = kbuildpy("sign", tmp_path / "m.ko", *words, env={"KBUILD_SIGN_PIN": softhsm.PIN})
    assert done.returncode == 1 and "has no certificate for this key" in done.error_text
    assert "--cert" in done.error_text


def test_a_wrong_pin_signs_nothing_and_is_not_shown(keys: Path, tmp_path: Path) -> None:
    (tmp_path / "m.ko").write_bytes(CONTENTS)
    status, said = sign(keys, "rsa2048", tmp_path / "m.ko", pin="4712-wrong")
    assert status == 1 and "the PIN is wrong; it is not tried again" in said
    assert "4712" not in said and "Traceback" not in said
    assert (tmp_path / "m.ko").read_bytes() == CONTENTS


def test_a_token_that_is_unplugged_stops_the_run_and_leaves_whole_files(keys: Path, tmp_path: Path) -> None:
    files = [tmp_path / f"m{number:03}.ko" for number in range(400)]
    for file in files:
        file.write_bytes(CONTENTS)
    uri = "pkcs11:token=release;object=rsa4096"
    argv = [sys.executable, "-m", "kbuildpy", "sign", str(tmp_path), "--hash", "sha256"]
    argv += ["--key", uri, "--cert", str(keys / "rsa4096.pem")]
    environment = {**os.environ, "KBUILD_SIGN_PIN": softhsm.PIN}
    with subprocess.Popen(argv, stderr=subprocess.PIPE, text=True, env=environment) as running:
        deadline = time.monotonic() + 60
        while sum(is_signed(file.read_bytes()) for file in files[:40]) < 10 and time.monotonic() < deadline:
            time.sleep(0.005)
        (keys / "tokens").rename(keys / "unplugged")
        _, said = running.communicate(timeout=60)
    (keys / "unplugged").rename(keys / "tokens")
    assert running.returncode == 1
    assert said.count("unplugged") == 1 and "Traceback" not in said and softhsm.PIN not in said

    certificate = load_certificate(keys / "rsa4096.pem")
    done = [split_signature(file.read_bytes()) for file in files if file.read_bytes() != CONTENTS]
    assert 10 <= len(done) < len(files)
    for signed in done:
        assert signed is not None and is_intact(CONTENTS, signed.signature, certificate)
    assert sign(keys, "rsa4096", tmp_path)[0] == 0
    assert all(is_signed(file.read_bytes()) for file in files)
    assert len(list(tmp_path.iterdir())) == len(files)
