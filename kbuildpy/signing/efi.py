# SPDX-License-Identifier: GPL-2.0-only
"""EFI signature lists (UEFI specification, EFI_SIGNATURE_LIST): how firmware and shim hand certificates to the kernel.

`MokListRT`, `MokListXRT`, `db` and `dbx` are such lists (security/integrity/platform_certs/load_uefi.c,
keyring_handler.c). The surprise: an entry that revokes a certificate by its digest has a time behind that, and then
revokes nothing in Linux. As a file of efivarfs a list has four bytes of attributes before it; as one of
/sys/firmware/efi/mok-variables it has not.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from uuid import UUID

_X509 = UUID("a5c059a1-94e4-4aa7-87b5-ab155c2bf072").bytes_le
_SHA256 = UUID("c1c41626-504c-4092-aca9-41f936934328").bytes_le
_X509_SHA256 = UUID("3bd2a492-96c0-4079-b420-fcf98ef103ed").bytes_le
_X509_OTHERS = (
    UUID("7076876e-80c2-4ee6-aad2-28b349a6865b").bytes_le,  # SHA-384 of a certificate
    UUID("446dbf63-2502-4cda-bcfa-2465d2b0fe9d").bytes_le,  # SHA-512
)
_TYPES = (_X509, _SHA256, _X509_SHA256, *_X509_OTHERS)
_HEADER = struct.Struct("<16sIII")  # type, size of the list, of its header, of each signature
_OWNER = 16


@dataclass(frozen=True)
class SignatureList:
    """What the lists of a file hold: certificates (DER), and hashes as a blacklist writes them."""

    certificates: tuple[bytes, ...]
    hashes: tuple[str, ...]


def is_signature_list(contents: bytes) -> bool:
    """Whether `contents` begin as a signature list does."""
    return _begin(contents) is not None


def parse_signature_lists(contents: bytes) -> SignatureList:
    """The lists in `contents`, one after the other; entries of kinds that the kernel leaves out are left out.

    Raises `ValueError` for lists that are damaged.
    """
    offset = _begin(contents)
    if offset is None:
        raise ValueError("it begins with no signature list")
    certificates: list[bytes] = []
    hashes: list[str] = []
    while offset < len(contents):
        if offset + _HEADER.size > len(contents):
            raise ValueError("it ends in the middle of a signature list")
        kind, size, header, each = _HEADER.unpack_from(contents, offset)
        first, end = offset + _HEADER.size + header, offset + size
        if size < _HEADER.size or end > len(contents) or each <= _OWNER or first > end or (end - first) % each:
            raise ValueError("the sizes in a signature list do not fit each other")
        for entry in range(first, end, each):
            value = contents[entry + _OWNER : entry + each]
            if kind == _X509:
                certificates.append(value)
            elif kind == _X509_SHA256:
                # (the digest of the signed part, and the time of revocation behind it: the kernel takes both for the
                # digest, which is none then: keyring_handler.c, uefi_blacklist_x509_tbs)
                hashes.append(f"tbs:{value.hex()}")
            elif kind == _SHA256:
                hashes.append(f"bin:{value[:32].hex()}")
        offset = end
    return SignatureList(tuple(certificates), tuple(hashes))


def _begin(contents: bytes) -> int | None:
    return next((offset for offset in (0, 4) if contents[offset : offset + 16] in _TYPES), None)
