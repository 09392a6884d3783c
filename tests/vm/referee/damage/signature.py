# SPDX-License-Identifier: GPL-2.0-only
"""What is wrong with the signature behind the module, for a kernel that does not insist on one (signing.c)."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from functools import cache
from random import Random
from typing import Any

from cryptography.hazmat.primitives.asymmetric import rsa

from kbuildpy.signing.file_key import FileKey
from kbuildpy.signing.hashes import find_hash
from kbuildpy.signing.public_key import key_algorithm
from kbuildpy.signing.signer import Signer, sign_module
from kbuildpy.signing.trailer import MARKER, append_signature, split_signature
from tests.support.keys import new_certificate, new_key, short_certificate
from tests.vm.referee.cases import Bases, Case

# What `struct module_signature` should be, but for the length.
TRAILER = {"algo": 0, "hash": 0, "id_type": 2, "signer_len": 0, "key_id_len": 0, "pad0": 0, "pad1": 0, "pad2": 0}


def cases(bases: Bases) -> Iterator[Case]:
    """All of them."""
    yield from _trailer(bases.quiet)
    yield from _foreign(bases.quiet)
    if bases.shipped is not None:
        yield from _known(bases.shipped)


def signed_by_somebody(module: bytes) -> bytes:
    """`module` with a sound signature by a key that no kernel knows."""
    return sign_module(module, _signer("rsa2048")) or module


def _trailer(quiet: bytes) -> Iterator[Case]:
    for field in TRAILER:
        for value in (1, 255):
            fields = {**TRAILER, field: value}
            yield Case(f"signature/{field} is {value}", quiet + bytes(50) + _packed(50, fields))
    for length in (0, 1, 50, len(quiet) + 49, len(quiet) + 50, len(quiet) + 51, 0xFFFFFFFF):
        yield Case(f"signature/says it has {length} bytes", quiet + bytes(50) + _packed(length))
    yield Case("signature/only the marker", quiet + MARKER)
    yield Case("signature/the marker alone", MARKER)
    yield Case("signature/the marker and a byte", b"x" + MARKER)
    yield Case("signature/a trailer alone", _packed(0))
    yield Case("signature/a trailer and a byte", b"x" + _packed(0))
    yield Case("signature/the marker without its newline", quiet + bytes(50) + _packed(50)[:-1])
    yield Case("signature/another marker", quiet + bytes(50) + _packed(50).replace(b"appended", b"Appended"))
    yield Case("signature/more behind it", quiet + bytes(50) + _packed(50) + b"\n")
    for what, message in {
        "zeros": bytes(50),
        "text": b"no message at all, but fifty letters that say so...",
        "an empty sequence": b"\x30\x00",
        "a sequence that ends too early": b"\x30\x82\x10\x00" + bytes(20),
    }.items():
        yield Case(f"signature/{what}", append_signature(quiet, message))


def _foreign(quiet: bytes) -> Iterator[Case]:
    for kind in ("rsa2048", "p256"):
        signed = sign_module(quiet, _signer(kind)) or b""
        yield Case(f"signature/{kind}, by somebody the kernel does not know", signed)
        yield from _changed(f"signature/{kind}, by somebody, ", signed)
    with_key_id = sign_module(quiet, _signer("rsa2048", use_key_id=True)) or b""
    yield Case("signature/rsa2048, by a key identifier", with_key_id)
    md4 = with_key_id.replace(bytes.fromhex("0609608648016503040201"), bytes.fromhex("0609608648016503040277"))
    yield Case("signature/rsa2048, of an unknown hash", md4)
    yield Case("signature/two, the second is none", append_signature(with_key_id, b"\x30\x00"))


def _known(shipped: bytes) -> Iterator[Case]:
    yield Case("signature/of the distribution", shipped)
    yield from _changed("signature/of the distribution, ", shipped)
    taken = split_signature(shipped)
    assert taken is not None
    yield Case("signature/of the distribution, taken off", taken.contents)
    yield Case("signature/of the distribution, of another module", append_signature(bytes(5000), taken.signature))


def _changed(name: str, signed: bytes) -> Iterator[Case]:
    taken = split_signature(signed)
    assert taken is not None
    contents = bytearray(taken.contents)
    contents[8] ^= 1
    yield Case(f"{name}whose module was changed", append_signature(bytes(contents), taken.signature))
    for length in (1, 20, 100, len(taken.signature) - 1):
        yield Case(f"{name}cut to {length} bytes", append_signature(taken.contents, taken.signature[:length]))
    for place in (0, 1, 5, 30, 60, len(taken.signature) // 2, len(taken.signature) - 1):
        signature = bytearray(taken.signature)
        signature[place] ^= 1
        yield Case(f"{name}byte {place} of it changed", append_signature(taken.contents, bytes(signature)))
    yield Case(f"{name}with a byte more", append_signature(taken.contents, taken.signature + b"\0"))


def _packed(length: int, fields: dict[str, int] = TRAILER) -> bytes:
    return struct.pack(">8BI", *fields.values(), length) + MARKER


@cache
def _signer(kind: str, *, use_key_id: bool = False) -> Signer:
    key: Any = _known_key() if kind == "rsa2048" else new_key(kind)
    certificate = new_certificate(key, "somebody") if use_key_id else short_certificate(key)
    return Signer(FileKey(key_algorithm(key), key), certificate, find_hash("sha256"), use_key_id)


def _known_key() -> rsa.RSAPrivateKey:
    """An RSA key that is the same every time, so that random damage to its signatures can be repeated."""
    random = Random("somebody")
    p, q = _prime(random), _prime(random)
    d = pow(65537, -1, (p - 1) * (q - 1))
    public = rsa.RSAPublicNumbers(65537, p * q)
    return rsa.RSAPrivateNumbers(p, q, d, d % (p - 1), d % (q - 1), pow(q, -1, p), public).private_key()


def _prime(random: Random) -> int:
    small = [n for n in range(3, 2000, 2) if all(n % m for m in range(3, n, 2))]
    while True:
        number = random.getrandbits(1024) | 3 << 1022 | 1
        if all(number % n for n in small) and pow(2, number - 1, number) == 1:
            return number
