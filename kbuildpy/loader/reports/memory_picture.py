# SPDX-License-Identifier: GPL-2.0-only
"""The memory of a module as a picture: what stays, what is freed when init is over, and the size of each section.

A bar for each block of memory, all in one scale, divided into its sections, and below it their names and sizes. What is
freed when init is over has a dashed frame.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from kbuildpy.page import text_of
from kbuildpy.printable import printable
from kbuildpy.svg import CHARACTER, GREEN, ON_COLOR, SKY, VERMILION, YELLOW, as_svg, shortened, swatches, text

ACCESS_COLORS = {"code": VERMILION, "read-only": SKY, "read-only after init": GREEN, "writable": YELLOW}
"""The color of each kind of access."""
_UNKNOWN = "#b8b8b8"

_WIDTH, _MARGIN = 960, 12
_BAR, _LINE, _COLUMNS = 26, 16, 3
_FREED = "freed when init is over"


class DrawnSection(NamedTuple):
    """A section in memory."""

    name: str
    offset: int
    """Bytes from the beginning of its block."""
    size: int
    """In bytes."""
    access: str
    """A key of `ACCESS_COLORS`; "" where it is not known."""


class DrawnBlock(NamedTuple):
    """A block of memory that is allocated, and freed, as a whole."""

    kind: str
    """As the kernel calls it."""
    size: int
    """In bytes."""
    is_freed: bool
    """It is freed when init is over."""
    sections: Sequence[DrawnSection]
    """In the order of their places."""


def draw_memory(kernel: str, blocks: Sequence[DrawnBlock], *, besides: Sequence[str] = ()) -> str:
    """The picture of the memory of a module in `kernel` (a release), as SVG; `besides` are lines about what is in no
    block."""
    kept, freed = (sum(block.size for block in blocks if block.is_freed is is_freed) for is_freed in (False, True))
    title = f"{kept:,} bytes stay, {freed:,} are {_FREED} ({kernel})"
    scale = (_WIDTH - 2 * _MARGIN) / max((block.size for block in blocks), default=1)
    parts = [text(_MARGIN, 24, title, more=' font-size="15" font-weight="bold"')]
    top = 40.0
    for block in sorted(blocks, key=lambda block: block.is_freed):
        parts += _bar(block, top, scale)
        parts += _sizes(block.sections, top + 20 + _BAR)
        top += 34 + _BAR + _LINE * _rows(block.sections)
    for line in besides:
        parts.append(text(_MARGIN, top + 8, line))
        top += _LINE
    parts += _legend(blocks, top + 6)
    return as_svg(_WIDTH, top + 30, title=title, description=_in_words(blocks, besides), parts=parts)


def _bar(block: DrawnBlock, top: float, scale: float) -> Iterator[str]:
    dashes = ' stroke-dasharray="5 3"' if block.is_freed else ""
    frame = f'x="{_MARGIN}" y="{top + 16:.1f}" width="{max(block.size * scale, 1):.2f}" height="{_BAR}"'
    rest = block.size - sum(section.size for section in block.sections)
    yield text(_MARGIN, top + 11, _block_words(block), more=' font-weight="bold"')
    yield f'<g><title>{rest:,} bytes between and behind the sections</title><rect class="p-soft" {frame}/></g>'
    yield from (_section(section, top + 16, scale) for section in block.sections if section.size)
    yield f'<rect class="p-line" {frame}{dashes}/>'


def _section(section: DrawnSection, top: float, scale: float) -> str:
    left, width = _MARGIN + section.offset * scale, section.size * scale
    name = printable(section.name)
    label = ""
    if len(name) * 10 * CHARACTER < width - 4:
        place = f'x="{left + 3:.2f}" y="{top + 17:.1f}" font-size="10" fill="{ON_COLOR}"'
        label = f"<text {place}>{text_of(section.name)}</text>"
    return (
        f"<g><title>{text_of(_section_words(section))}</title>"
        f'<rect x="{left:.2f}" y="{top:.1f}" width="{width:.2f}" height="{_BAR}" fill="{_color(section)}" '
        f'stroke="#ffffff" stroke-width="0.4"/>{label}</g>'
    )


def _sizes(sections: Sequence[DrawnSection], top: float) -> Iterator[str]:
    """Names and sizes in columns, from above to below."""
    rows, width = _rows(sections), (_WIDTH - 2 * _MARGIN) / _COLUMNS
    for number, section in enumerate(_shown(sections)):
        left, line = _MARGIN + number // rows * width, top + 12 + number % rows * _LINE
        name = shortened(printable(section.name), width - 120)
        yield (
            f"<g><title>{text_of(_section_words(section))}</title>"
            f'<rect x="{left:.1f}" y="{line - 9:.1f}" width="10" height="10" fill="{_color(section)}"/>'
            f"{text(left + 16, line, name)}"
            f"{text(left + width - 24, line, f'{section.size:,}', kind='p-dim', more=_TO_THE_RIGHT)}</g>"
        )


def _legend(blocks: Sequence[DrawnBlock], top: float) -> Iterator[str]:
    used = {section.access for block in blocks for section in _shown(block.sections)}
    kinds = [(name, color) for name, color in ACCESS_COLORS.items() if name in used]
    kinds += [("section", _UNKNOWN)] if "" in used else []
    parts, left = swatches(kinds, _MARGIN, top)
    yield from parts
    yield f'<rect class="p-soft" x="{left:.1f}" y="{top:.1f}" width="12" height="12"/>'
    yield text(left + 17, top + 10, "symbols for kallsyms, and padding")
    yield f'<rect class="p-line" stroke-dasharray="4 2" x="{left + 262:.1f}" y="{top:.1f}" width="18" height="12"/>'
    yield text(left + 286, top + 10, _FREED)


def _in_words(blocks: Iterable[DrawnBlock], besides: Iterable[str]) -> str:
    found = []
    for block in blocks:
        sizes = ", ".join(f"{item.name} {item.size}" for item in _shown(block.sections))
        found.append(f"{_block_words(block)}: {sizes or 'no section'}.")
    return " ".join([*found, *(f"{line}." for line in besides)])


def _block_words(block: DrawnBlock) -> str:
    return f"{block.kind}: {block.size:,} bytes, {_FREED if block.is_freed else 'stays'}"


def _section_words(section: DrawnSection) -> str:
    access = f", {section.access}" if section.access else ""
    return f"{section.name}: {section.size:,} bytes at {section.offset:#x}{access}"


def _color(section: DrawnSection) -> str:
    return ACCESS_COLORS.get(section.access, _UNKNOWN)


def _shown(sections: Iterable[DrawnSection]) -> list[DrawnSection]:
    return [section for section in sections if section.size]


def _rows(sections: Iterable[DrawnSection]) -> int:
    return -(-len(_shown(sections)) // _COLUMNS)


_TO_THE_RIGHT = ' text-anchor="end"'
