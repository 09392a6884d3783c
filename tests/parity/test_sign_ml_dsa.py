# SPDX-License-Identifier: GPL-2.0-only
"""ML-DSA, which kernels from 7.0 on verify, and SHA-3: against sign-file and OpenSSL that know them (Debian 13)."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from kbuildpy.errors import CommandError
from kbuildpy.kernel.tree import KernelTree
from kbuildpy.run import run
from kbuildpy.signing.cms import parse, signers
from kbuildpy.signing.signer_certificate import load_certificate
from kbuildpy.signing.trailer import split_signature
from tests.support.builds import kbuildpy
from tests.support.kernel_trees import tree_of_release, trees
from tests.support.keys import CONTENTS, sign_file, write_pair

pytestmark = pytest.mark.parity

# The kernel line whose sign-file and loader have learnt it.
SINCE = (7, 0)


@pytest.fixture(params=[tree.release for tree in trees() if tree.version >= SINCE] or [""])
def tree(request: pytest.FixtureRequest) -> KernelTree:
    if not request.param:
        pytest.skip("no kernel headers from 7.0 on here")
    return tree_of_release(request.param)


@pytest.fixture
def openssl() -> str:
    version = re.match(r"OpenSSL (\d+)\.(\d+)", run(["openssl", "version"]).text)
    assert version is not None
    if (int(version[1]), int(version[2])) < (3, 5):
        pytest.skip("this OpenSSL does not know ML-DSA")
    return "openssl"


def ml_dsa_pair(algorithm: str, place: Path) -> Path:
    done = kbuildpy("keygen", place / f"{algorithm}.pem", "-a", algorithm, "--combined")
    assert done.returncode == 0, done.error_text
    return place / f"{algorithm}.pem"


@pytest.mark.parametrize("algorithm", ["ml-dsa-44", "ml-dsa-65", "ml-dsa-87"])
def test_openssl_verifies_what_we_signed(algorithm: str, openssl: str, tmp_path: Path) -> None:
    pair, module = ml_dsa_pair(algorithm, tmp_path), tmp_path / "m.ko"
    module.write_bytes(CONTENTS)
    assert kbuildpy("sign", module, "--key", pair).returncode == 0
    signed = split_signature(module.read_bytes())
    assert signed is not None and signed.contents == CONTENTS
    [info] = signers(parse(signed.signature))
    (tmp_path / "raw").write_bytes(info.signature)
    (tmp_path / "contents").write_bytes(CONTENTS)
    public = load_certificate(pair).public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    (tmp_path / "public").write_bytes(public)
    words = [openssl, "pkeyutl", "-verify", "-pubin", "-inkey", "public", "-rawin", "-sigfile", "raw", "-in"]
    assert "Verified Successfully" in run([*words, "contents"], cwd=tmp_path).text
    (tmp_path / "contents").write_bytes(CONTENTS + b"x")
    assert run([*words, "contents"], cwd=tmp_path, check=False).returncode != 0


@pytest.mark.parametrize("algorithm", ["ml-dsa-44", "ml-dsa-65", "ml-dsa-87"])
def test_we_verify_what_sign_file_signed(algorithm: str, tree: KernelTree, openssl: str, tmp_path: Path) -> None:
    pair, module = ml_dsa_pair(algorithm, tmp_path), tmp_path / "m.ko"
    module.write_bytes(CONTENTS)
    try:
        sign_file(tree, "sha512", pair, module)
    except CommandError as error:
        pytest.skip(f"the tree's sign-file cannot: {error.stderr.strip()}")
    done = kbuildpy("verify", module, "--cert", pair)
    said = done.text + done.error_text
    # Up to OpenSSL 3.5 sign-file adds signed attributes, which kernels refuse unless they are built to waive that.
    assert algorithm.upper().replace("-", "") in said.upper().replace("-", "")
    attributes = "attributes" in said.lower() or "authattrs" in said.lower()
    assert done.returncode == 0 or attributes, said
    damaged = bytearray(module.read_bytes())
    damaged[100] ^= 1
    module.write_bytes(damaged)
    assert kbuildpy("verify", module, "--cert", pair).returncode == 1


@pytest.mark.parametrize("hash", ["sha3-256", "sha3-384", "sha3-512"])
def test_sha_3_is_signed_as_by_sign_file(hash: str, tree: KernelTree, tmp_path: Path) -> None:
    pair = write_pair(tmp_path, "rsa2048")
    for name in ("theirs.ko", "ours.ko"):
        (tmp_path / name).write_bytes(CONTENTS)
    sign_file(tree, hash, pair, tmp_path / "theirs.ko")
    assert kbuildpy("sign", tmp_path / "ours.ko", "--key", pair, "--hash", hash).returncode == 0
    assert (tmp_path / "ours.ko").read_bytes() == (tmp_path / "theirs.ko").read_bytes()
    assert kbuildpy("verify", tmp_path / "theirs.ko", "--cert", pair).returncode == 0
