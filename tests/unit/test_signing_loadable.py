# SPDX-License-Identifier: GPL-2.0-only
"""Keys that kernels cannot use: what is said of them before anything is signed, and of what they have signed.

Which certificates a kernel loads, tests/vm/test_loadable_keys.py asks kernels.
"""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import dsa, ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ObjectIdentifier, SignatureAlgorithmOID

from kbuildpy import cli
from kbuildpy.kernel.depmod_indexes import aliases
from kbuildpy.signing.certificates import parse_certificate
from kbuildpy.signing.file_key import FileKey
from kbuildpy.signing.hashes import find_hash
from kbuildpy.signing.keygen import ALGORITHMS
from kbuildpy.signing.keyring import Keyring
from kbuildpy.signing.loadable import curves_in, needed_for, warn_of_kernels
from kbuildpy.signing.public_key import key_algorithm
from kbuildpy.signing.signer import Signer, sign_module
from kbuildpy.signing.verify import verify
from tests.support.keys import new_certificate

ECDSA = {"CONFIG_CRYPTO_ECDSA": "y"}
# What images have of the names: Debian's 6.1 is without ECDSA.
WITHOUT = Keyring("6.1", parses=frozenset(("p192", "p256", "p384")), verifies=frozenset())
WITH = replace(WITHOUT, parses=frozenset(("p256", "p521")), verifies=frozenset(("p256", "p521")))


def key_of(kind: str) -> Any:
    if kind == "dsa":
        return dsa.generate_private_key(1024)
    if kind.isdecimal():
        return rsa.generate_private_key(65537, int(kind))
    curves: dict[str, Any] = {"p256": ec.SECP256R1, "p521": ec.SECP521R1, "secp256k1": ec.SECP256K1}
    return ec.generate_private_key(curves[kind]())


@pytest.mark.parametrize(
    ("kind", "release", "config", "said"),
    [
        ("p256", "", None, ""),
        ("2048", "", None, ""),
        ("2048", "6.1.0", {}, ""),
        ("1536", "6.1.0", {}, ""),
        ("p256", "6.12.1", ECDSA, ""),
        ("p521", "6.12.1", ECDSA, ""),
        ("p521", "6.9.3", ECDSA, "kernel 6.9.3 cannot verify with the certificate, which has a key on a curve"),
        ("p256", "6.1.0", {}, "the kernel has nothing to verify with (CONFIG_CRYPTO_ECDSA)"),
        (
            "secp256k1",
            "",
            None,
            "no kernel can verify with the certificate, which has a key on a curve",
        ),
        ("2560", "", None, "no kernel can verify with the certificate, which has an RSA key of 2560 bits"),
        ("dsa", "", None, "no kernel can verify with the certificate, which has a key of a kind that kernels do not"),
    ],
)
def test_a_key_that_kernels_cannot_use_is_named(
    kind: str, release: str, config: dict[str, str] | None, said: str
) -> None:
    warning = warn_of_kernels(new_certificate(key_of(kind), "k"), release, config)
    assert said in warning
    assert bool(warning) == bool(said)


def test_a_kind_of_key_without_a_name_is_shown_by_its_number() -> None:
    odd = SimpleNamespace(
        signature_algorithm_oid=SignatureAlgorithmOID.RSA_WITH_SHA256,
        public_key_algorithm_oid=ObjectIdentifier("1.2.3.4"),
        public_key=lambda: None,
    )
    assert "a key of a kind that kernels do not know (1.2.3.4)" in warn_of_kernels(odd)


@pytest.mark.parametrize(
    ("kind", "keyring", "errno", "words"),
    [
        ("p256", WITH, None, ""),
        ("p521", WITH, None, ""),
        ("p256", WITHOUT, "ENOKEY", "the kernel cannot load its certificate (ENOENT), which has an ECDSA key"),
        ("p521", WITHOUT, "ENOKEY", "the kernel cannot load its certificate (ENOPKG), which has a key on a curve"),
        ("secp256k1", WITH, "ENOKEY", "which has a key on a curve that kernels do not know (secp256k1)"),
        ("secp256k1", Keyring(), "ENOKEY", "which has a key on a curve that kernels do not know (secp256k1)"),
        ("2560", WITH, "ENOKEY", "the kernel cannot load its certificate (EINVAL), which has an RSA key of 2560 bits"),
    ],
)
def test_what_such_a_key_has_signed_is_not_trusted(kind: str, keyring: Keyring, errno: str | None, words: str) -> None:
    key = key_of(kind)
    certificate = new_certificate(key, "k")
    signer = Signer(FileKey(key_algorithm(key), key), certificate, find_hash("sha256"))
    signed = sign_module(b"a module", signer)
    assert signed is not None
    ring = keyring.plus([parse_certificate(certificate.public_bytes(Encoding.DER), "k")])
    (state,) = verify(signed, [ring])
    assert (state.errno, state.trusted, state.valid) == (errno, errno is None, True)
    assert words in (state.reason or "")


def test_each_kind_of_key_says_what_a_kernel_must_have_for_it() -> None:
    needed = {algorithm: needed_for(algorithm) for algorithm in ALGORITHMS}
    assert {name for name, words in needed.items() if not words} == {"rsa-2048", "rsa-3072", "rsa-4096"}
    assert needed["p-256"] == needed["p-384"] == "CONFIG_CRYPTO_ECDSA"
    assert needed["p-521"] == "CONFIG_CRYPTO_ECDSA, from 6.10 on"
    assert {needed[f"ml-dsa-{size}"] for size in (44, 65, 87)} == {"CONFIG_CRYPTO_MLDSA, from 7.0 on"}


def test_the_curves_are_read_from_the_image_and_depmods_list(tmp_path: Path) -> None:
    (tmp_path / "modules.alias").write_text(
        "alias crypto-ecdsa-nist-p384-generic ecdsa\nalias crypto-ecdsa-nist-p384 ecdsa\n"
    )
    image = b"x\0ecdsa-nist-p256\0ecdsa-nist-p384\0ecdsa-nist-p256-generic\0"
    assert curves_in(image, ()) == (frozenset(("p256", "p384")), frozenset(("p256",)))
    loadable = {alias.pattern for alias in aliases(tmp_path)}
    assert curves_in(image, loadable)[1] == frozenset(("p256", "p384"))


def test_signing_with_such_a_key_warns(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    key = key_of("secp256k1")
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (tmp_path / "key.pem").write_bytes(pem + new_certificate(key, "k").public_bytes(Encoding.PEM))
    (tmp_path / "m.ko").write_bytes(b"\x7fELF")
    os.environ.pop("KBUILD_SIGN_PIN", None)
    assert cli.main(["sign", str(tmp_path / "m.ko"), "--key", str(tmp_path / "key.pem"), "--hash", "sha256"]) == 0
    assert "warning: " in (said := capfd.readouterr().err)
    assert "no kernel can verify with the certificate" in said
