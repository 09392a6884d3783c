# SPDX-License-Identifier: GPL-2.0-only
"""The trailer of a signed module: the signature, a `struct module_signature`, a marker.

The layout is that of include/linux/module_signature.h; the kernel reads it from the end (kernel/module/signing.c:
module_sig_check, mod_verify_sig; kernel/module_signature.c: mod_check_sig).
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from kbuildpy.signing.refused import Refused

MARKER = b"~Module signature appended~\n"
PKCS7 = 2
# algo, hash, id_type, signer_len, key_id_len, three bytes of padding, sig_len
_TRAILER = struct.Struct(">BBBBB3xI")


@dataclass(frozen=True)
class SignedModule:
    """A module taken apart: what was signed, and the signature (a CMS message in DER)."""

    contents: bytes
    signature: bytes


def is_signed(module: bytes) -> bool:
    """Whether the kernel would look for a signature at the end of `module`."""
    return _end_of_signature(module, len(module)) is not None


def split_signature(module: bytes) -> SignedModule | None:
    """Take a signed module apart; None for one without a signature.

    Raises `Refused` where the kernel refuses the trailer.
    """
    end = _end_of_signature(module, len(module))
    if end is None:
        return None
    start = _start_of_signature(module, end)
    return SignedModule(module[:start], module[start:end])


def _end_of_signature(module: bytes, size: int) -> int | None:
    """The end offset of the last signature within the first `size` bytes of `module`; None if there is none."""
    if size <= len(MARKER) or not module.endswith(MARKER, 0, size):
        return None
    return size - len(MARKER) - _TRAILER.size


def _start_of_signature(module: bytes, end: int) -> int:
    if end < 0:
        raise Refused("the file is too short for the signature whose marker ends it")
    length: int
    algorithm, hash, id_type, signer_length, key_id_length, length = _TRAILER.unpack_from(module, end)
    if length >= end:
        raise Refused(f"the signature says that it has {length} bytes, and the file has only {end} before its end")
    if id_type != PKCS7:
        raise Refused(f"the signature is of type {id_type}; the kernel takes PKCS#7 ({PKCS7}) only", errno="ENOPKG")
    if (algorithm, hash, signer_length, key_id_length) != (0, 0, 0, 0) or any(module[end + 5 : end + 8]):
        raise Refused("the signature's trailer has fields set that PKCS#7 does not use")
    return end - length


def append_signature(contents: bytes, signature: bytes) -> bytes:
    """`contents` signed: with `signature` and the trailer behind it."""
    return b"".join((contents, signature, _TRAILER.pack(0, 0, PKCS7, 0, 0, len(signature)), MARKER))


def without_signatures(module: bytes) -> bytes:
    """What was signed at first: sign-file puts one signature behind the other, and the kernel looks at the last."""
    # (an empty signature takes 40 bytes: a copy for each would take 20 s for 8 MB that are full of them)
    size = len(module)
    while (end := _end_of_signature(module, size)) is not None:
        size = _start_of_signature(module, end)
    return module[:size]
