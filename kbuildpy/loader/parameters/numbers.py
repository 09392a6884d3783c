# SPDX-License-Identifier: GPL-2.0-only
"""Parses numbers and truth values as the kernel does (lib/kstrtox.c).

Each function returns the value, or the name of the errno.
"""

from __future__ import annotations

from kbuildpy.kernel.release import Version
from kbuildpy.loader import since

_ULLONG_MAX = (1 << 64) - 1
_DIGITS = {8: b"01234567", 10: b"0123456789", 16: b"0123456789abcdefABCDEF"}

RANGES = {
    "u8": (0, 0xFF),
    "s16": (-0x8000, 0x7FFF),
    "u16": (0, 0xFFFF),
    "s32": (-0x80000000, 0x7FFFFFFF),
    "u32": (0, 0xFFFFFFFF),
    "s64": (-0x8000000000000000, 0x7FFFFFFFFFFFFFFF),
    "u64": (0, _ULLONG_MAX),
}
"""The least and the greatest value of each type."""


def kstrto(text: bytes, kind: str, base: int = 0) -> int | str:
    """Return `text` as a number of the type `kind`, or "EINVAL", "ERANGE" (kstrtou8, kstrtoint, ...).

    A sign may precede the digits ("-" only for signed types), and a newline may follow them. `base` is 10, or 0: the
    prefix decides, which is "0x" for 16, "0" for 8, and none for 10. A number of more than 64 bits is "ERANGE", even if
    other characters follow it.
    """
    least, greatest = RANGES[kind]
    negative = least < 0 and text.startswith(b"-")
    value = _kstrtoull(text[1:] if negative or text.startswith(b"+") else text, base)
    if isinstance(value, str):
        return value
    value = -value if negative else value
    return value if least <= value <= greatest else "ERANGE"


def _kstrtoull(text: bytes, base: int) -> int | str:
    if base == 0:
        base = 16 if text[:2].lower() == b"0x" else 8 if text.startswith(b"0") else 10
    if base == 16:
        text = text[2:]
    count = len(text) - len(text.lstrip(_DIGITS[base]))
    digits = text[:count].lstrip(b"0")
    # More than 22 digits exceed 64 bits in every base, and int() refuses to convert thousands of digits.
    value = int(digits or b"0", base) if len(digits) <= 22 else _ULLONG_MAX + 1
    if value > _ULLONG_MAX:
        return "ERANGE"
    return value if count and text[count:] in (b"", b"\n") else "EINVAL"


def kstrtobool(text: bytes, version: Version) -> bool | str:
    """Return `text` as a truth value, or "EINVAL". The first letter decides, or the second one if the first is "o"."""
    first, second = text[:1].lower(), text[1:2].lower()
    if first == b"o":
        return second == b"n" if second in (b"n", b"f") else "EINVAL"
    yes, no = (b"yt1e", b"nf0d") if version >= since.BOOL_ENABLE else (b"yt1", b"nf0")
    if first and first in yes:
        return True
    return False if first and first in no else "EINVAL"
