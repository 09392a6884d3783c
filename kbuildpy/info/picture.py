# SPDX-License-Identifier: GPL-2.0-only
"""The memory of a module as a picture: SVG that stands alone, without scripts, fonts and links.

A bar for each block of memory, all in one scale, divided into its sections, whose names and sizes a pointer shows. What
is freed when init is over has a dashed frame.
"""

from __future__ import annotations

from html import escape

from kbuildpy.info.memory import ACCESS, Block, ModuleMemory, SectionInMemory
from kbuildpy.printable import printable

COLORS = {"code": "#c8553d", "read-only": "#588b8b", "read-only after init": "#a5c4a4", "writable": "#f2c14e"}
"""The color of each kind of access."""

_WIDTH, _MARGIN = 960, 10
_ROW, _BAR = 64, 32
_HEAD, _LEGEND = 34, 30
_CHARACTER = 6.2
"""Width of a character of the labels, about."""


def as_svg(memory: ModuleMemory) -> str:
    """The picture of `memory`."""
    scale = (_WIDTH - 2 * _MARGIN) / max((block.size for block in memory.blocks), default=1)
    height = _HEAD + _ROW * len(memory.blocks) + _LEGEND
    title = f"{memory.kept:,} bytes stay, {memory.freed:,} are freed when init is over ({memory.kernel})"
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" width="{_WIDTH}" height="{height}" '
        'font-family="sans-serif" font-size="12">',
        f"<title>{text_of(title)}</title>",
        f'<rect width="{_WIDTH}" height="{height}" fill="#ffffff"/>',
        f'<text x="{_MARGIN}" y="20" font-size="14" font-weight="bold">{text_of(title)}</text>',
    ]
    for number, block in enumerate(memory.blocks):
        parts += _bar(block, _HEAD + _ROW * number, scale)
    parts += _legend(height - _LEGEND + 8)
    return "\n".join([*parts, "</svg>"])


def text_of(text: str) -> str:
    """`text` for a place in SVG or HTML: printable, without markup. (XML has no control characters.)"""
    return escape(printable(text).replace("\t", " "))


def _bar(block: Block, top: int, scale: float) -> list[str]:
    fate = "freed when init is over" if block.is_freed else "stays"
    dashes = ' stroke-dasharray="5 3"' if block.is_freed else ""
    bar = top + 18
    parts = [
        f'<text x="{_MARGIN}" y="{top + 12}">{text_of(block.kind)}: {block.size:,} bytes, {fate}</text>',
        f"<g><title>{text_of(block.kind)}: {block.size:,} bytes, {block.size - block.filled:,} of them between and "
        f"behind the sections</title>"
        f'<rect x="{_MARGIN}" y="{bar}" width="{block.size * scale:.2f}" height="{_BAR}" fill="#e6e6e6"/></g>',
    ]
    parts += [_section(section, bar, scale) for section in block.sections if section.size]
    parts.append(
        f'<rect x="{_MARGIN}" y="{bar}" width="{block.size * scale:.2f}" height="{_BAR}" fill="none" '
        f'stroke="#333333"{dashes}/>'
    )
    return parts


def _section(section: SectionInMemory, top: int, scale: float) -> str:
    left, width = _MARGIN + section.offset * scale, section.size * scale
    name = text_of(section.name)
    label = ""
    if len(printable(section.name)) * _CHARACTER < width - 4:
        label = f'<text x="{left + 3:.2f}" y="{top + 20}" font-size="10">{name}</text>'
    return (
        f"<g><title>{name}: {section.size:,} bytes at {section.offset:#x}, {section.access}</title>"
        f'<rect x="{left:.2f}" y="{top}" width="{width:.2f}" height="{_BAR}" fill="{COLORS[section.access]}" '
        f'stroke="#ffffff" stroke-width="0.3"/>{label}</g>'
    )


def _legend(top: int) -> list[str]:
    parts, left = [], float(_MARGIN)
    for access in ACCESS:
        parts.append(f'<rect x="{left:.0f}" y="{top}" width="12" height="12" fill="{COLORS[access]}"/>')
        parts.append(f'<text x="{left + 16:.0f}" y="{top + 10}">{access}</text>')
        left += 40 + len(access) * 6.5
    parts.append(f'<rect x="{left:.0f}" y="{top}" width="12" height="12" fill="#e6e6e6"/>')
    parts.append(f'<text x="{left + 16:.0f}" y="{top + 10}">symbols for kallsyms, and padding</text>')
    return parts
