# SPDX-License-Identifier: GPL-2.0-only
"""Pictures (SVG) that stand alone: without scripts, fonts and links, light and dark, with a title and a description.

Viewers that know no variables of CSS show them too, so colours are classes, and the dark ones replace these.
"""

from __future__ import annotations

from collections.abc import Iterable

from kbuildpy.page import file_beside, in_ascii, text_of

CHARACTER = 0.62
"""Width of a character, about, as a part of the size of the font."""
ORANGE, SKY, GREEN, YELLOW, BLUE = "#e69f00", "#56b4e9", "#009e73", "#f0e442", "#0072b2"
VERMILION, PURPLE = "#d55e00", "#cc79a7"
"""Okabe and Ito's colours, which the colour-blind tell apart; dark text is readable on all but blue."""
ON_COLOR = "#111111"
"""The colour of text on them."""

_STYLE = file_beside(__file__, "svg.css")


def as_svg(
    width: float,
    height: float,
    *,
    title: str,
    description: str,
    parts: Iterable[str],
    style: str = "",
    scroll: bool = False,
) -> str:
    """The picture of `parts` (SVG), with a title and a description for who cannot see it. `style` is added to the
    classes `p-page` (background), `p-ink` and `p-dim` (text), `p-soft`, `p-line`, `p-rule` and `p-box`. `scroll`: in a
    page it keeps its size."""
    size = f'width="{width:.0f}" height="{height:.0f}"'
    keeps = ' style="max-width: none"' if scroll else ""
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height:.0f}" {size}{keeps} role="img" '
        'font-family="system-ui, sans-serif" font-size="12">',
        f"<title>{text_of(title)}</title>",
        f"<desc>{text_of(description)}</desc>",
        f"<style>{_STYLE}{style}</style>",
        f'<rect class="p-page" {size}/>',
        *parts,
        "</svg>",
    ]
    return in_ascii("\n".join(lines))


def text(x: float, y: float, words: str, *, kind: str = "p-ink", more: str = "") -> str:
    """A line of text whose left end is at `x`, and whose base line at `y`; `more` are attributes."""
    return f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}"{more}>{text_of(words)}</text>'


def shortened(words: str, width: float, *, size: float = 12) -> str:
    """`words`, cut so that they are about as wide as `width` at most."""
    most = max(int(width / (size * CHARACTER)), 2)
    return words if len(words) <= most else f"{words[: most - 1]}…"


def swatches(colors: Iterable[tuple[str, str]], left: float, top: float) -> tuple[list[str], float]:
    """The beginning of a legend: a square of each color (name, color) with its name, side by side; and where the next
    entry has its left end."""
    parts = []
    for name, color in colors:
        parts.append(f'<rect x="{left:.1f}" y="{top:.1f}" width="12" height="12" fill="{color}"/>')
        parts.append(text(left + 17, top + 10, name))
        left += 44 + len(name) * 12 * CHARACTER
    return parts, left
