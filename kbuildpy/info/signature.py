# SPDX-License-Identifier: GPL-2.0-only
"""What a module's signature tells. Imports cryptography."""

from __future__ import annotations

from kbuildpy.signing.cms import parse, signers
from kbuildpy.signing.der import common_name
from kbuildpy.signing.hashes import BY_OID
from kbuildpy.signing.keyring import Keyring
from kbuildpy.signing.modinfo_bytes import in_lines, serial_bytes
from kbuildpy.signing.signature_state import SignatureState
from kbuildpy.signing.structures import IssuerAndSerialNumber
from kbuildpy.signing.verify import verify


def signature_values(signature: bytes) -> tuple[str, ...]:
    """The values of `fields.SIGNATURE_FIELDS` for a CMS message; none where modinfo has none. Raises `Refused` for one
    that cannot be read."""
    first = next(iter(signers(parse(signature))), None)
    hash = None if first is None else BY_OID.get(first.digest_algorithm.algorithm.dotted_string)
    if first is None or hash is None:
        return ()
    issuer, key = "", b""
    if isinstance(first.sid, IssuerAndSerialNumber):
        issuer = common_name(bytes(first.sid.issuer.data))
        key = serial_bytes(first.sid.serial_number)
    return "PKCS#7", issuer, in_lines(key), hash.name, in_lines(first.signature)


def state_without_keys(contents: bytes) -> SignatureState:
    """The state of a signed module's signature, whoever trusts it."""
    [state] = verify(contents, [Keyring()])
    return state
