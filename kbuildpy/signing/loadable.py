# SPDX-License-Identifier: GPL-2.0-only
"""The certificates that a kernel can load, and the keys that it can verify with:
crypto/asymmetric_keys/x509_cert_parser.c (x509_note_sig_algo, x509_extract_key_data), x509_public_key.c
(x509_check_for_self_signed), crypto/rsa.c (rsa_check_key_length), crypto/ecdsa.c.

A certificate that cannot be loaded verifies nothing. The surprise: one that signs itself is verified when it is loaded,
so a kernel without ECDSA does not load one with a key on a curve. It loads one that another certificate has signed,
although it cannot verify with it.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import Any, NamedTuple

from kbuildpy.kernel.depmod_indexes import plain_name
from kbuildpy.kernel.release import version_of
from kbuildpy.signing.signer_certificate import public_key_oid
from kbuildpy.signing.since import CURVE_P521

CURVES = {"secp192r1": "p192", "secp256r1": "p256", "secp384r1": "p384", "secp521r1": "p521"}
"""The curves that kernels have names for: as cryptography calls them, and as `ecdsa-nist-NAME`."""
_RSA = frozenset(f"1.2.840.113549.1.1.{number}" for number in (5, 11, 12, 13, 14))
_RSA_SIZES = (512, 1024, 1536, 2048, 3072, 4096)
"""Bits of an RSA key that the kernel takes, in whole bytes."""
_PLAIN_RSA = "1.2.840.113549.1.1.1"
_OTHER_SIGNATURES = ("1.2.840.10045.4.", "2.16.840.1.101.3.4.3.")
"""Of ECDSA, and of the later algorithms, which a kernel may not know (`Keyring.unknown`)."""
_LATER_KEYS = "2.16.840.1.101.3.4.3."
"""Of ML-DSA (and DSA's signatures; its keys have another)."""
_PARSED = re.compile(rb"ecdsa-nist-(p\d+)\0")
_VERIFIED = re.compile(rb"ecdsa-nist-(p\d+)-[a-z]")


class Problem(NamedTuple):
    """The kernel's error, and the reason, in words that continue "its certificate"."""

    errno: str
    words: str


def curves_in(kernel: bytes, loadable: Collection[str]) -> tuple[frozenset[str], frozenset[str]]:
    """The curves that a kernel's parser knows, and the curves that it can verify with.

    The code for the latter is built in or in a module; `loadable` are the aliases of the kernel's modules, as
    `kernel.depmod_indexes` has them.
    """
    modular = {curve for curve in CURVES.values() if plain_name(f"crypto-ecdsa-nist-{curve}") in loadable}
    return _names(_PARSED.findall(kernel)), _names(_VERIFIED.findall(kernel)) | modular


def parse_problem(parsed: Any, curves: frozenset[str] | None) -> Problem | None:
    """Why the kernel's parser refuses a certificate (cryptography's object); None if it accepts it. `curves` are the
    curves that the parser knows; None for an unknown kernel."""
    signature = parsed.signature_algorithm_oid
    if signature.dotted_string not in _RSA and not signature.dotted_string.startswith(_OTHER_SIGNATURES):
        return Problem("ENOPKG", f"is signed in a way that kernels do not know ({_called(signature)})")
    key = parsed.public_key()
    curve = getattr(getattr(key, "curve", None), "name", None)
    if curve is not None and CURVES.get(curve) not in (CURVES.values() if curves is None else curves):
        who = "kernels do not know" if CURVES.get(curve) is None else "the kernel does not know"
        return Problem("ENOPKG", f"has a key on a curve that {who} ({curve})")
    kind = public_key_oid(parsed)
    if curve is None and kind.dotted_string != _PLAIN_RSA and not kind.dotted_string.startswith(_LATER_KEYS):
        return Problem("ENOPKG", f"has a key of a kind that kernels do not know ({_called(kind)})")
    return None


def verify_problem(parsed: Any, curves: frozenset[str] | None) -> Problem | None:
    """Why the kernel cannot verify anything with a certificate's key, where its parser takes it; `curves` are those
    that it has something to verify with."""
    key = parsed.public_key()
    curve = getattr(getattr(key, "curve", None), "name", None)
    if curve is not None:
        if curves is None or CURVES.get(curve) in curves:
            return None
        return Problem("ENOENT", "has an ECDSA key, and the kernel has nothing to verify with (CONFIG_CRYPTO_ECDSA)")
    size = getattr(key, "key_size", 0)
    if size and (size + 7) // 8 * 8 not in _RSA_SIZES:
        return Problem("EINVAL", f"has an RSA key of {size} bits: kernels take 2048, 3072 and 4096")
    return None


def warn_of_kernels(certificate: Any, release: str = "", config: Mapping[str, str] | None = None) -> str:
    """The warning about a certificate (cryptography's object) that the kernel `release` with this configuration, or
    without them any kernel, cannot use; "" for a usable one."""
    parses = verifies = None
    if config is not None:
        parses = frozenset(CURVES.values()) - (frozenset() if version_of(release) >= CURVE_P521 else {"p521"})
        verifies = parses if config.get("CONFIG_CRYPTO_ECDSA") in ("y", "m") else frozenset()
    problem = parse_problem(certificate, parses) or verify_problem(certificate, verifies)
    who = f"kernel {release}" if config is not None else "no kernel"
    can = "cannot verify" if config is not None else "can verify"
    return f"{who} {can} with the certificate, which {problem.words}" if problem else ""


def needed_for(algorithm: str) -> str:
    """The configuration that a kernel needs for a key of one of `keygen.ALGORITHMS`; "" if every kernel can use it."""
    if algorithm == "p-521":
        return "CONFIG_CRYPTO_ECDSA, from 6.10 on"
    if algorithm.startswith("p-"):
        return "CONFIG_CRYPTO_ECDSA"
    return "CONFIG_CRYPTO_MLDSA, from 7.0 on" if algorithm.startswith("ml-dsa") else ""


def _names(found: Any) -> frozenset[str]:
    return frozenset(name.decode() for name in found)


def _called(identifier: Any) -> str:
    name: str = getattr(identifier, "_name", "")
    return name if name and name != "Unknown OID" else identifier.dotted_string
