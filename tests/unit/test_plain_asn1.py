# SPDX-License-Identifier: GPL-2.0-only
"""Our DER, for a cryptography that has no ASN.1 module of its own, beside that of one that has."""

from __future__ import annotations

import random
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from cryptography.x509 import ObjectIdentifier

from kbuildpy.signing import asn1, plain_asn1, structures
from kbuildpy.signing.trailer import split_signature
from tests.support.signatures import damageable

pytestmark = pytest.mark.skipif(asn1.sequence is plain_asn1.sequence, reason="cryptography has no ASN.1 module")


@pytest.fixture(scope="module")
def plain() -> ModuleType:
    """The structures, declared with ours."""
    assert structures.__file__ is not None
    text = Path(structures.__file__).read_text()
    assert "from kbuildpy.signing import asn1" in text
    made = ModuleType("plain_structures")
    sys.modules[made.__name__] = made
    with_ours = text.replace("from kbuildpy.signing import asn1", "from kbuildpy.signing import plain_asn1 as asn1")
    exec(compile(with_ours, structures.__file__, "exec"), made.__dict__)
    return made


def messages() -> dict[str, bytes]:
    found = {}
    for name, module in damageable().items():
        taken = split_signature(module)
        assert taken is not None
        found[name] = bytes(taken.signature)
    return found


def as_values(value: Any) -> Any:
    """A decoded value as plain ones, which two libraries share."""
    if names := getattr(type(value), "__annotations__", None) if hasattr(value, "signer_infos") else None:
        return {name: as_values(getattr(value, name)) for name in names}
    if type(value).__name__ in ("ContentInfo", "SignerInfo", "AlgorithmIdentifier", "IssuerAndSerialNumber"):
        return {name: as_values(getattr(value, name)) for name in type(value).__annotations__}
    if type(value).__name__ in ("Attribute", "EncapsulatedContentInfo"):
        return {name: as_values(getattr(value, name)) for name in type(value).__annotations__}
    if hasattr(value, "as_list"):
        return [as_values(item) for item in value.as_list()]
    if hasattr(value, "tag_bytes"):
        return bytes(value.tag_bytes), bytes(value.data)
    return "NULL" if type(value).__name__ == "Null" else value


@pytest.mark.parametrize("name", ["rsa", "ec", "ml-dsa", "key identifier", "attributes", "certificates"])
def test_a_signature_is_read_and_written_as_by_cryptography(name: str, plain: ModuleType) -> None:
    message = messages()[name]
    theirs, ours = asn1.decode_der(structures.ContentInfo, message), plain_asn1.decode_der(plain.ContentInfo, message)
    assert as_values(ours) == as_values(theirs)
    assert plain_asn1.encode_der(ours) == asn1.encode_der(theirs) == message


def test_what_is_damaged_is_refused_or_read_as_by_cryptography(plain: ModuleType) -> None:
    draw = random.Random(19)
    outcomes = {True: 0, False: 0}
    for message in messages().values():
        # (what is in the signature itself, behind the structure, changes nothing)
        structure = min(len(message), 400)
        for _ in range(700):
            damaged = bytearray(message)
            for _ in range(draw.choice((1, 1, 2))):
                damaged[draw.randrange(structure)] = draw.choice(
                    (0, 1, 2, 5, 6, 0x30, 0x31, 0x80, 0xA0, 0xFF, draw.randrange(256))
                )
            outcomes[compare(structures.ContentInfo, plain.ContentInfo, bytes(damaged))] += 1
    assert min(outcomes.values()) > 300, outcomes


PIECES = [
    *(
        bytes([2, len(value), *value])
        for value in ([], [0], [0x80], [0xFF], [0, 0x7F], [0, 0x80], [0xFF, 0x80], [0xFF, 0x7F])
    ),
    *(
        bytes([6, len(value), *value])
        for value in ([], [0x2A], [0x80, 1], [0x2A, 0x86], [0x2A, 0x86, 0x48], [0x88, 0x37])
    ),
    bytes([6, 64, 0x2A, *[1] * 63]),
    bytes([6, 63, 0x2A, *[1] * 62]),
    bytes([6, 6, 0x2A, 0x8F, 0xFF, 0xFF, 0xFF, 0x7F]),
    bytes([6, 6, 0x2A, 0x90, 0x80, 0x80, 0x80, 0x00]),
    bytes([6, 7, 0x2A, 0x81, 0xFF, 0xFF, 0xFF, 0xFF, 0x7F]),
    bytes([6, 21, 0x2A, 0x83, *[0xFF] * 17, 0x7F, 1]),
    bytes([4, 0x80, 0, 0]),
    bytes([4, 0x81, 1, 0]),
    bytes([4, 0x81, 0x80, *[0] * 128]),
    bytes([4, 0x82, 0, 0x80, *[0] * 128]),
    bytes([4, 0x85, 0, 0, 0, 0, 1, 0]),
    bytes([4, 1]),
    bytes([5, 0]),
    bytes([5, 1, 0]),
    bytes([0x1F, 0x1E, 0]),
    bytes([0x1F, 0x1F, 0]),
    bytes([0x3F, 0x81, 0x00, 1, 7]),
    bytes([0x3F, 0x80, 0x41, 0]),
    bytes([0x1F, 0x81]),
    b"",
    b"\x02",
]


@pytest.mark.parametrize("kind", [int, bytes, ObjectIdentifier, asn1.TLV], ids=lambda kind: kind.__name__)
def test_numbers_names_lengths_and_tags_are_taken_as_by_cryptography(kind: Any) -> None:
    ours = plain_asn1.TLV if kind is asn1.TLV else kind
    taken = [compare(kind, ours, piece) for piece in PIECES]
    assert any(taken) and not all(taken)


def test_a_set_is_written_in_order() -> None:
    values = [ObjectIdentifier("2.5.4.10"), ObjectIdentifier("1.2.840.113549.1.7.1"), ObjectIdentifier("2.5.4.3")]
    encoded = plain_asn1.encode_der(plain_asn1.SetOf(values))
    assert encoded == asn1.encode_der(asn1.SetOf(values))


@pytest.mark.parametrize("number", [0, 1, -1, 127, 128, -128, -129, 255, 256, 2**159, -(2**159)])
def test_numbers_are_written_as_by_cryptography(number: int) -> None:
    assert plain_asn1.encode_der(number) == asn1.encode_der(number)


def compare(theirs: Any, ours: Any, der: bytes) -> bool:
    """Whether cryptography takes `der`; ours must do the same, and read the same."""
    try:
        expected = as_values(asn1.decode_der(theirs, der))
    except ValueError:
        with pytest.raises(ValueError):
            plain_asn1.decode_der(ours, der)
        return False
    assert as_values(plain_asn1.decode_der(ours, der)) == expected, der.hex()
    return True
