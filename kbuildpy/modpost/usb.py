# SPDX-License-Identifier: GPL-2.0-only
"""Aliases of USB device tables, whose entries have a range of bcdDevice (scripts/mod/file2alias.c: do_usb_entry_multi).

Patterns of fnmatch(3) have no numeric ranges, so a range becomes several patterns. From the right, digit by digit, the
ends of the range get patterns with `[lo-9]` and `[0-hi]`, until the rest is a pattern with `*` at its end. The number
is binary-coded decimal (BCD); it is hexadecimal if one of the digits of the range's ends is above 9.
"""

from __future__ import annotations

from collections.abc import Iterator

from kbuildpy.modpost.table_entry import TableEntry

MATCH_DEV_LO, MATCH_DEV_HI = 0x4, 0x8
DIGITS = 4
HEAD = (("v", "idVendor", 0x1), ("p", "idProduct", 0x2))
TAIL = (
    ("dc", "bDeviceClass", 0x10),
    ("dsc", "bDeviceSubClass", 0x20),
    ("dp", "bDeviceProtocol", 0x40),
    ("ic", "bInterfaceClass", 0x80),
    ("isc", "bInterfaceSubClass", 0x100),
    ("ip", "bInterfaceProtocol", 0x200),
    ("in", "bInterfaceNumber", 0x400),
)


def usb_aliases(entry: TableEntry) -> Iterator[str]:
    """The aliases of one usb_device_id (do_usb_entry_multi, do_usb_entry); none for an entry without vendor, product
    and class, which would match every device."""
    if not (entry["idVendor"] or entry["idProduct"] or entry["bDeviceClass"] or entry["bInterfaceClass"]):
        return
    flags = entry["match_flags"]
    before = "usb:" + _parts(entry, HEAD, flags) + "d"
    after = _parts(entry, TAIL, flags)
    after = after if after.endswith("*") else after + "*"
    low = entry["bcdDevice_lo"] if flags & MATCH_DEV_LO else 0
    high = entry["bcdDevice_hi"] if flags & MATCH_DEV_HI else 0xFFFFFFFF
    for version in version_patterns(low, high):
        yield before + version + after


def version_patterns(low: int, high: int) -> Iterator[str]:
    """Patterns that match exactly the device versions from `low` to `high`."""
    largest = 0x9
    for digit in range(DIGITS):
        if low >> 4 * digit & 15 > 9 or min(high, 0x9999) >> 4 * digit & 15 > 9:
            largest = 0xF
            break
    digits = DIGITS - 1
    while low <= high:
        low_digit, high_digit = low & 15, min(high & 15, largest)
        low, high = low >> 4, high >> 4
        if low == high or digits == 0:
            yield _pattern(low, digits, low_digit, high_digit, largest)
            return
        if low_digit > 0:
            yield _pattern(low, digits, low_digit, largest, largest)
            low = _step(low, 1, largest)
        if high_digit < largest:
            yield _pattern(high, digits, 0, high_digit, largest)
            high = _step(high, -1, largest)
        digits -= 1


def _pattern(initial: int, digits: int, low: int, high: int, largest: int) -> str:
    text = f"{initial:0{digits}X}" if digits else ""
    if low == high:
        text += f"{low:X}"
    elif low > 0 or high < largest:
        if low > 9 or high < 10:
            text += f"[{low:X}-{high:X}]"
        else:
            text += f"[{low:X}-9" if low < 9 else f"[{low:X}"
            text += f"A-{high:X}]" if high > 10 else f"{high:X}]"
    return text if digits == DIGITS - 1 else text + "*"


def _step(number: int, by: int, largest: int) -> int:
    """`number` plus `by` (1 or -1): in BCD if the `largest` digit is 9, else as an integer (file2alias.c: incbcd)."""
    if largest > 9:
        return number + by & 0xFFFFFFFF
    decimal = sum(min(number >> 4 * digit & 15, 9) * 10**digit for digit in range(DIGITS)) + by
    decimal &= 0xFFFFFFFFFFFFFFFF
    return sum(decimal // 10**digit % 10 << 4 * digit for digit in range(DIGITS))


def _parts(entry: TableEntry, parts: tuple[tuple[str, str, int], ...], flags: int) -> str:
    return "".join(
        separator + (entry.hexadecimal(member) if flags & flag else "*") for separator, member, flag in parts
    )
