"""What stands behind a signed module: the signature, a `struct module_signature`, a marker.

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
    return len(module) > len(MARKER) and module.endswith(MARKER)


def split_signature(module: bytes) -> SignedModule | None:
    """Take a signed module apart; None for one without a signature.

    Raises `Refused` where the kernel refuses the trailer.
    """
    if not is_signed(module):
        return None
    end = len(module) - len(MARKER) - _TRAILER.size
    if end < 0:
        raise Refused("the file is too short for the signature whose marker ends it")
    algorithm, hash, id_type, signer_length, key_id_length, length = _TRAILER.unpack_from(module, end)
    if length >= end:
        raise Refused(f"the signature says that it has {length} bytes, and the file has only {end} before its end")
    if id_type != PKCS7:
        raise Refused(f"the signature is of type {id_type}; the kernel takes PKCS#7 ({PKCS7}) only", errno="ENOPKG")
    if (algorithm, hash, signer_length, key_id_length) != (0, 0, 0, 0) or any(module[end + 5 : end + 8]):
        raise Refused("the signature's trailer has fields set that PKCS#7 does not use")
    return SignedModule(module[: end - length], module[end - length : end])


def append_signature(contents: bytes, signature: bytes) -> bytes:
    """`contents` signed: with `signature` and the trailer behind it."""
    return b"".join((contents, signature, _TRAILER.pack(0, 0, PKCS7, 0, 0, len(signature)), MARKER))


def without_signatures(module: bytes) -> bytes:
    """What was signed at first: sign-file puts one signature behind the other, and the kernel looks at the last."""
    while (signed := split_signature(module)) is not None:
        module = signed.contents
    return module
