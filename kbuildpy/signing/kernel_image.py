# SPDX-License-Identifier: GPL-2.0-only
"""The keys that are built into a kernel image, and what the kernel can verify with them.

certs/system_certificates.S puts them in as DER certificates, one after the other, the one that the kernel's own
modules are signed with first; aligned to eight bytes follow two words: the length of all, and that of the first. There
is no symbol to go by, but no other bytes are a list of certificates with these lengths behind it. The revocation
list (certs/revocation_certificates.S) is built alike, with one word.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from kbuildpy.errors import KbuildError
from kbuildpy.kernel.depmod_indexes import aliases, plain_name
from kbuildpy.kernel.image import read_kernel
from kbuildpy.signing.certificates import Certificate, parse_certificate
from kbuildpy.signing.hashes import HASHES
from kbuildpy.signing.keyring import NOWHERE, Keyring
from kbuildpy.signing.loadable import curves_in
from kbuildpy.signing.public_key import ML_DSA_OIDS

# A certificate, what is signed in it (of a small ECDSA key less than 256 bytes), and in that a version or (in X.509
# version 1) a serial number.
_CERTIFICATE = re.compile(rb"\x30\x82..\x30(?:\x82..|\x81.)[\xa0\x02]", re.DOTALL)
_NIST = bytes.fromhex("60864801650304")  # 2.16.840.1.101.3.4
_NIST_NAME = "2.16.840.1.101.3.4."
# What it warns of where CONFIG_PKCS7_WAIVE_AUTHATTRS_REJECTION_FOR_MLDSA is set.
_WAIVER = b"Waived invalid module sig"
# What Debian's kernels log of a module file whose digest is blacklisted; with that patch come others, by which modules
# may be signed with keys of `.platform`.
_REFUSES_FILES = b"Module hash %*phN is blacklisted"
_PLATFORM = b".platform\0"
# What a kernel with a list of revoked certificates logs of one that it cannot read (certs/blacklist.c:
# add_key_to_revocation_list).
_REVOKES = b"Problem with revocation key"
# The algorithm's name with its implementation's (crypto/mldsa.c: crypto_mldsa_algs); the name alone has every parser.
_ML_DSA_VERIFIER = re.compile(rb"mldsa44-[a-z]")


class CertificateList(NamedTuple):
    """Certificates (DER) in a kernel's image; `first` is the length that the image states for the first one."""

    certificates: tuple[bytes, ...]
    first: int


def load_kernel(image: Path) -> Keyring:
    """The keyring that a kernel has when it starts; the modules that it can load are those that lie beside `image`, or
    are installed.

    Raises `KbuildError` for a file that cannot be read, is no kernel image, or holds no certificates.
    """
    kernel, release = read_kernel(image)
    system, revoked = find_certificates(kernel)
    if system is None:
        raise KbuildError(
            f"{image}: no list of certificates in the kernel",
            hint="it was built without CONFIG_SYSTEM_TRUSTED_KEYRING or without any key, and trusts none",
        )
    loadable = {alias.pattern for directory in module_directories(image, release) for alias in aliases(directory)}
    parses, verifies = curves_in(kernel, loadable)
    own = Keyring.of(release)
    return replace(
        own,
        revokes=own.revokes if _REVOKES in kernel else NOWHERE,
        refuses_files=_REFUSES_FILES in kernel,
        takes_platform=_REFUSES_FILES in kernel and _PLATFORM in kernel,
        parses=parses,
        verifies=verifies,
        certificates=_parsed(system, str(image)),
        revoked=_parsed(revoked, str(image)) if revoked else (),
        unknown=_unknown_algorithms(kernel),
        waives_attributes=_WAIVER in kernel,
        verifies_ml_dsa=_verifies_ml_dsa(kernel, loadable),
    )


def module_directories(image: Path, release: str) -> tuple[Path, ...]:
    """The directories whose `modules.alias` names the modules that the kernel in `image` loads for an algorithm. The
    keyring depends on these files and on `image`."""
    return image.parent, Path("/lib/modules", release)


def find_certificates(kernel: bytes) -> tuple[CertificateList | None, CertificateList | None]:
    """The system keyring's certificates and the revoked ones, each None if there is no such list."""
    system, revoked, end = None, None, 0
    for match in _CERTIFICATE.finditer(kernel):
        if match.start() < end:
            continue
        walked, stop = _walk(kernel, match.start())
        words = _words_behind(kernel, match.start(), stop)
        if words is None:
            continue
        end = stop
        # (the module certificate's length is 0 in a kernel that has no CONFIG_MODULE_SIG)
        if system is None and words[1] in (0, len(walked[0])):
            system = CertificateList(tuple(walked), words[1])
        elif system is not None and revoked is None:
            revoked = CertificateList(tuple(walked), 0)
    return system, revoked


def _walk(kernel: bytes, start: int) -> tuple[list[bytes], int]:
    """The certificates from `start` on, and where they end (certs/system_keyring.c leaves the walk to
    crypto/asymmetric_keys/x509_loader.c: x509_load_certificate_list)."""
    found = []
    while kernel[start : start + 2] == b"\x30\x82":
        stop = start + 4 + int.from_bytes(kernel[start + 2 : start + 4], "big")
        if stop > len(kernel):
            break
        found.append(kernel[start:stop])
        start = stop
    return found, start


def _words_behind(kernel: bytes, start: int, stop: int) -> tuple[int, int] | None:
    """The two words behind a list, if the first is its length.

    Between them and the list may be room for a certificate that is put in later (CONFIG_SYSTEM_EXTRA_CERTIFICATE),
    zeroes while there is none, and the length of that one.
    """
    length = stop - start
    place = start + (length + 7 & ~7)
    filled = re.compile(rb"[^\0]").search(kernel, place)
    other = start + (filled.start() - start & ~7) if filled else place
    for candidate in (place, other, other + 8):
        for order in ("little", "big"):
            words = [
                int.from_bytes(kernel[candidate + 8 * index : candidate + 8 * index + 8], order) for index in range(2)
            ]
            if words[0] == length:
                # In a kernel of 32 bits the word behind has another meaning for its upper half.
                return words[0], words[1] if words[1] <= length else words[1] & 0xFFFFFFFF
    return None


def _parsed(found: CertificateList, source: str) -> tuple[Certificate, ...]:
    certificates = []
    for der in found.certificates:
        try:
            certificates.append(parse_certificate(der, source))
        except KbuildError:
            # The kernel logs "Problem loading in-kernel X.509 certificate" and goes on.
            continue
    return tuple(certificates)


def _unknown_algorithms(kernel: bytes) -> frozenset[str]:
    """Which algorithms of a younger date the kernel has no identifier of (lib/oid_registry.c: oid_data)."""
    known = {
        f"{_NIST_NAME}{kernel[match.end()]}.{kernel[match.end() + 1]}"
        for match in re.finditer(re.escape(_NIST), kernel[:-2])
    }
    ours = {oid for hash in HASHES.values() for oid in (hash.oid, hash.ecdsa_oid)} | set(ML_DSA_OIDS.values())
    return frozenset(oid for oid in ours if oid.startswith(_NIST_NAME) and oid not in known)


def _verifies_ml_dsa(kernel: bytes, loadable: Collection[str]) -> bool:
    """Whether a kernel has ML-DSA's verifier built in, or would load it as a module (crypto/api.c:
    crypto_larval_lookup), because `loadable` has its alias."""
    return bool(_ML_DSA_VERIFIER.search(kernel)) or plain_name("crypto-mldsa44") in loadable
