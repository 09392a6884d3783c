# SPDX-License-Identifier: GPL-2.0-only
"""The pieces that aliases are put together from."""

from __future__ import annotations

from dataclasses import dataclass

from kbuildpy.modpost.table_entry import TableEntry


@dataclass(frozen=True)
class Part:
    """One piece of a regular alias: `separator`, then `member`, or `*` when it is open.

    It is open when `flag` (a member and its bits) has none of the bits set, or when it has the value `any`.
    """

    separator: str
    member: str
    flag: tuple[str, int] | None = None
    any: int | None = None

    def text(self, entry: TableEntry) -> str:
        """The piece for `entry`."""
        given = bool(entry[self.flag[0]] & self.flag[1]) if self.flag is not None else entry[self.member] != self.any
        return self.separator + (entry.hexadecimal(self.member) if given else "*")


def open_ended(alias: str) -> str:
    """`alias` with a `*` at its end."""
    return alias if alias.endswith("*") else alias + "*"


def uuid_text(octets: bytes, *, mixed: bool = True) -> str:
    """A UUID's usual form; `mixed` says that its first three fields are little-endian (guid_t, uuid_le)."""
    if mixed:
        octets = octets[3::-1] + octets[5:3:-1] + octets[7:5:-1] + octets[8:]
    digits = octets.hex()
    return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))


ANY32, ANY16, ANY8 = 0xFFFFFFFF, 0xFFFF, 0xFF
