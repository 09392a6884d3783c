# SPDX-License-Identifier: GPL-2.0-only
"""The digest of a srcversion: MD4 with input words in big-endian order (scripts/mod/sumversion.c).

Standard MD4 reads little-endian words. The kernel's copy reads big-endian words, except the two words of the length. So
the MD4 of a library gives another digest (and Python's hashlib often has no MD4). But OpenSSL's MD4_Update gives the
right state for a message that was padded and byte-swapped before. It is 400 times as fast as the arithmetic in Python,
which matters for megabytes of sources, not for kilobytes. It is used for longer messages, if libcrypto has it.
"""

from __future__ import annotations

import ctypes
import struct
from array import array
from functools import cache
from typing import Any

MASK = 0xFFFFFFFF
INITIAL = (0x67452301, 0xEFCDAB89, 0x98BADCFE, 0x10325476)
WORTH_LOADING_LIBCRYPTO = 8 * 1024


def srcversion_digest(message: bytes) -> str:
    """The srcversion of `message`: the first 23 of the digest's 32 upper-case hexadecimal digits, because modpost's
    buffer holds no more (sumversion.c: md4_final_ascii)."""
    length = len(message)
    padded = message + b"\x80" + bytes((55 - length) % 64)
    size = struct.pack("<Q", length << 3 & 0xFFFFFFFFFFFFFFFF)
    words = array("I", padded)
    words.byteswap()
    blocks = words.tobytes() + size
    state = None
    if len(blocks) >= WORTH_LOADING_LIBCRYPTO or _libcrypto.cache_info().currsize:
        state = _digest_libcrypto(blocks)
    if state is None:
        state = _digest(blocks)
    return struct.pack("<4I", *state).hex().upper()[:23]


def _digest_libcrypto(blocks: bytes) -> tuple[int, int, int, int] | None:
    libcrypto = _libcrypto()
    if libcrypto is None:
        return None
    context = ctypes.create_string_buffer(256)
    if libcrypto.MD4_Init(context) != 1 or libcrypto.MD4_Update(context, blocks, len(blocks)) != 1:
        return None
    state: tuple[int, int, int, int] = struct.unpack_from("=4I", context.raw)
    return state


@cache
def _libcrypto() -> Any:
    """OpenSSL's library with its MD4 functions declared; None if it has none."""
    try:
        libcrypto = ctypes.CDLL("libcrypto.so.3")
        libcrypto.MD4_Init.argtypes = [ctypes.c_void_p]
        libcrypto.MD4_Update.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_size_t]
    except (OSError, AttributeError):
        return None
    return libcrypto


def _digest(blocks: bytes) -> tuple[int, int, int, int]:
    a, b, c, d = INITIAL
    for words in struct.iter_unpack("<16I", blocks):
        aa, bb, cc, dd = a, b, c, d
        for i, j, k, m in ROUND1:
            a = a + (d ^ b & (c ^ d)) + words[i] & MASK
            a = a << 3 & MASK | a >> 29
            d = d + (c ^ a & (b ^ c)) + words[j] & MASK
            d = d << 7 & MASK | d >> 25
            c = c + (b ^ d & (a ^ b)) + words[k] & MASK
            c = c << 11 & MASK | c >> 21
            b = b + (a ^ c & (d ^ a)) + words[m] & MASK
            b = b << 19 & MASK | b >> 13
        for i, j, k, m in ROUND2:
            a = a + (b & c | d & (b | c)) + words[i] + 0x5A827999 & MASK
            a = a << 3 & MASK | a >> 29
            d = d + (a & b | c & (a | b)) + words[j] + 0x5A827999 & MASK
            d = d << 5 & MASK | d >> 27
            c = c + (d & a | b & (d | a)) + words[k] + 0x5A827999 & MASK
            c = c << 9 & MASK | c >> 23
            b = b + (c & d | a & (c | d)) + words[m] + 0x5A827999 & MASK
            b = b << 13 & MASK | b >> 19
        for i, j, k, m in ROUND3:
            a = a + (b ^ c ^ d) + words[i] + 0x6ED9EBA1 & MASK
            a = a << 3 & MASK | a >> 29
            d = d + (a ^ b ^ c) + words[j] + 0x6ED9EBA1 & MASK
            d = d << 9 & MASK | d >> 23
            c = c + (d ^ a ^ b) + words[k] + 0x6ED9EBA1 & MASK
            c = c << 11 & MASK | c >> 21
            b = b + (c ^ d ^ a) + words[m] + 0x6ED9EBA1 & MASK
            b = b << 15 & MASK | b >> 17
        a, b, c, d = a + aa & MASK, b + bb & MASK, c + cc & MASK, d + dd & MASK
    return a, b, c, d


ROUND1 = ((0, 1, 2, 3), (4, 5, 6, 7), (8, 9, 10, 11), (12, 13, 14, 15))
ROUND2 = ((0, 4, 8, 12), (1, 5, 9, 13), (2, 6, 10, 14), (3, 7, 11, 15))
ROUND3 = ((0, 8, 4, 12), (2, 10, 6, 14), (1, 9, 5, 13), (3, 11, 7, 15))
