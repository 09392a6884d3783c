# SPDX-License-Identifier: GPL-2.0-only
"""Bytes of a signature as modinfo writes them (kmod: tools/modinfo.c; libkmod/libkmod-module.c:
kmod_module_info_append_hex)."""

from __future__ import annotations

_BYTES_PER_LINE = 20


def colons(contents: bytes) -> str:
    """`contents` in hexadecimal, with colons."""
    return contents.hex(":").upper()


def in_lines(contents: bytes) -> str:
    """The same, twenty bytes a line."""
    rows = [contents[start : start + _BYTES_PER_LINE] for start in range(0, len(contents), _BYTES_PER_LINE)]
    return ":\n\t\t".join(map(colons, rows))


def serial_bytes(serial: int) -> bytes:
    """The serial number of a certificate as the bytes of `sig_key`."""
    return abs(serial).to_bytes((serial.bit_length() + 7) // 8, "big")
