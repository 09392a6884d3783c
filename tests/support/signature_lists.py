# SPDX-License-Identifier: GPL-2.0-only
"""EFI signature lists, as firmware and shim hand them to a kernel, and the names that variables with them have."""

from __future__ import annotations

import struct
from uuid import UUID

GLOBAL, SECURITY, SHIM = (
    "8be4df61-93ca-11d2-aa0d-00e098032b8c",
    "d719b2cb-3d3a-4596-a3bc-dad00e67656f",
    "605dab50-e046-4300-abb6-3dd810dd8b23",
)
"""Vendors of variables: the specification, its list of keys, shim."""
X509, TBS, FILE = (
    "a5c059a1-94e4-4aa7-87b5-ab155c2bf072",
    "3bd2a492-96c0-4079-b420-fcf98ef103ed",
    "c1c41626-504c-4092-aca9-41f936934328",
)
"""Kinds of entries: a certificate; the digest of one, and the time of its revocation; the digest of a file."""


def signature_list(kind: str, *entries: bytes) -> bytes:
    """A list with these entries."""
    body = b"".join(bytes(16) + entry for entry in entries)
    return UUID(kind).bytes_le + struct.pack("<III", 28 + len(body), 0, 16 + len(entries[0])) + body
