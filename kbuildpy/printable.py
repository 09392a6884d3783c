# SPDX-License-Identifier: GPL-2.0-only
"""Escapes names and lines of foreign origin before they are printed: they may contain codes that control a terminal."""

from __future__ import annotations


def printable(text: str) -> str:
    r"""`text` in one line without control characters. Characters without a glyph, except tabs, are escaped as in
    Python: a newline as `\n`, ESC as `\x1b`, marks that change the direction of writing; a byte that is not UTF-8 as
    `\xff`.
    """
    if text.isprintable():
        return text
    return "".join(each if each.isprintable() or each == "\t" else _escaped(each) for each in text)


def printable_error(message: str, hint: str | None) -> str:
    """A message in one line, and below it the hint."""
    return "\n".join((printable(message), *(f"  {printable(line)}" for line in (hint or "").splitlines())))


def _escaped(character: str) -> str:
    byte = ord(character) - 0xDC00
    if 0x80 <= byte <= 0xFF:
        # (as os.fsdecode has it)
        return f"\\x{byte:02x}"
    return character.encode("unicode_escape").decode()
