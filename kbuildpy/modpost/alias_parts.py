# SPDX-License-Identifier: GPL-2.0-only
"""The parts of a module alias (scripts/mod/file2alias.c: ADD, add_wildcard, add_uuid, add_guid)."""

from __future__ import annotations

from dataclasses import dataclass

from kbuildpy.modpost.table_entry import TableEntry


@dataclass(frozen=True)
class Part:
    """One part of a regular alias: a separator, then the value of a member, or `*` if the entry leaves it open."""

    separator: str
    """The letters before the value."""
    member: str
    """The name of the member."""
    flag: tuple[str, int] | None = None
    """A member with flags, and a mask: the part is open if none of the bits is set. None: `any` decides."""
    any: int | None = None
    """The value of `member` for which the part is open; None for no such value."""

    def text(self, entry: TableEntry) -> str:
        """The text of the part for `entry`."""
        given = bool(entry[self.flag[0]] & self.flag[1]) if self.flag is not None else entry[self.member] != self.any
        return self.separator + (entry.hexadecimal(self.member) if given else "*")


def open_ended(alias: str) -> str:
    """`alias` with one `*` at its end (add_wildcard)."""
    return alias if alias.endswith("*") else alias + "*"


def uuid_text(octets: bytes, *, mixed: bool = True) -> str:
    """The usual text of a UUID (16 octets), in lower case. `mixed`: its first three fields are little-endian (guid_t,
    uuid_le; add_guid)."""
    if mixed:
        octets = octets[3::-1] + octets[5:3:-1] + octets[7:5:-1] + octets[8:]
    digits = octets.hex()
    return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))


ANY32, ANY16, ANY8 = 0xFFFFFFFF, 0xFFFF, 0xFF
