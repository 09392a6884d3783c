# SPDX-License-Identifier: GPL-2.0-only
"""The history of `./run bench` as one page of HTML that stands alone: a curve for each row, with its limit."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise

from kbuildpy.page import as_document, table_of, text_of
from kbuildpy.svg import SKY, VERMILION, as_svg, text
from tests.bench_rows import RATIO, BenchRow, BenchRun

_WIDTH, _HEIGHT, _LEFT, _RIGHT, _TOP, _BOTTOM = 460, 170, 46, 14, 34, 26

_STYLE = """
.curves { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 440px), 1fr)); gap: 14px; }
.curves svg { width: 100%; }
.curves figure { margin: 0; border: 1px solid var(--line); border-radius: 4px; padding: 6px; }
"""

Point = tuple[BenchRun, BenchRow]


def as_page(runs: Sequence[BenchRun]) -> str:
    """The page of `runs`, the oldest first; one of no runs says so."""
    title = f"./run bench: {len(runs)} run{'s' * (len(runs) != 1)}"
    parts = [f"<header><h1>{title}</h1></header>\n<main>"]
    parts += _last(runs[-1]) if runs else ["<p>Nothing has been measured yet.</p>"]
    names = list(dict.fromkeys(row.name for run in runs for row in run.rows))
    parts.append('<h2>All runs</h2>\n<div class="curves">')
    for name in names:
        points = [(run, row) for run in runs for row in run.rows if row.name == name]
        parts.append(f"<figure>{_curve(name, points)}</figure>")
    parts += ["</div>", *_table(runs, names), "</main>"]
    return as_document(title, "\n".join(parts), style=_STYLE)


def _last(run: BenchRun) -> Iterator[str]:
    missed = [row for row in run.rows if row.is_missed]
    yield f"<h2>The last run: {_words(run)}</h2>"
    said = ", ".join(text_of(row.name) for row in missed) or "none"
    yield f"<p>Above the limit: {said}. A ratio is kbuildpy's time divided by the other tool's: below 1 is quicker.</p>"
    rows = [
        [
            text_of(row.name),
            str(row.runs),
            "" if row.theirs is None else f"{row.theirs:.3f}",
            "" if row.ours is None else f"{row.ours:.3f}",
            _shown(row),
            "" if row.limit is None else f"{row.limit:g}",
            '<b class="failed">✗ above the limit</b>' if row.is_missed else '<span class="passed">✓</span>',
        ]
        for row in run.rows
    ]
    head = ["row", "runs", "the other (s)", "kbuildpy (s)", "value", "limit", "kept"]
    yield table_of(head, rows, numbers=(1, 2, 3, 4, 5))


def _curve(name: str, points: Sequence[Point]) -> str:
    """The values of one row over the runs."""
    values = [row.value for _, row in points]
    limits = [row.limit for _, row in points if row.limit is not None]
    top = max([*values, *limits]) * 1.15 or 1.0
    step = (_WIDTH - _LEFT - _RIGHT) / max(len(points) - 1, 1)
    places = [_LEFT + step * at if len(points) > 1 else (_WIDTH + _LEFT) / 2 for at in range(len(points))]

    def down(value: float) -> float:
        return _HEIGHT - _BOTTOM - value / top * (_HEIGHT - _TOP - _BOTTOM)

    parts = [text(10, 20, name, more=' font-weight="bold"')]
    for value in (0.0, top / 2, top):
        parts.append(f'<path class="p-rule" d="M{_LEFT} {down(value):.1f}H{_WIDTH - _RIGHT}"/>')
        parts.append(text(_LEFT - 6, down(value) + 4, f"{value:.3g}", kind="p-dim", more=' text-anchor="end"'))
    for (left, right), (one, other) in zip(pairwise(places), pairwise(points), strict=True):
        if one[1].limit is not None and other[1].limit is not None:
            line = f"M{left:.1f} {down(one[1].limit):.1f}L{right:.1f} {down(other[1].limit):.1f}"
            parts.append(f'<path class="p-line" stroke-dasharray="6 4" d="{line}"/>')
        line = f"M{left:.1f} {down(one[1].value):.1f}L{right:.1f} {down(other[1].value):.1f}"
        parts.append(f'<path d="{line}" fill="none" stroke="{SKY}" stroke-width="2"/>')
    if len(points) == 1 and limits:
        parts.append(
            f'<path class="p-line" stroke-dasharray="6 4" d="M{_LEFT} {down(limits[0]):.1f}H{_WIDTH - _RIGHT}"/>'
        )
    parts += [_mark(point, place, down(point[1].value)) for point, place in zip(points, places, strict=True)]
    parts.append(text(_LEFT, _HEIGHT - 8, points[0][0].began[:10], kind="p-dim"))
    last = points[-1][0].began[:10]
    parts.append(text(_WIDTH - _RIGHT, _HEIGHT - 8, last, kind="p-dim", more=' text-anchor="end"'))
    said = "; ".join(f"{run.began}: {_shown(row)}" for run, row in points)
    return as_svg(_WIDTH, _HEIGHT, title=f"{name} over {len(points)} runs", description=said, parts=parts)


def _mark(point: Point, left: float, top: float) -> str:
    """A circle, or a larger square above the limit, so that not only the color tells."""
    run, row = point
    limit = "" if row.limit is None else f", limit {row.limit:g}"
    title = f"<title>{text_of(f'{_words(run)}: {_shown(row)}{limit}')}</title>"
    if row.is_missed:
        return f'<g>{title}<rect x="{left - 5:.1f}" y="{top - 5:.1f}" width="10" height="10" fill="{VERMILION}"/></g>'
    return f'<g>{title}<circle cx="{left:.1f}" cy="{top:.1f}" r="4" fill="{SKY}"/></g>'


def _table(runs: Sequence[BenchRun], names: Sequence[str]) -> Iterator[str]:
    """The values as numbers: a line for each run."""
    rows = []
    for run in reversed(runs):
        found = {row.name: row for row in run.rows}
        cells = [
            "" if (row := found.get(name)) is None else f"<b>{_shown(row)}</b>" if row.is_missed else _shown(row)
            for name in names
        ]
        rows.append([text_of(_words(run)), *cells])
    yield "<details><summary>All values (those above a limit are bold)</summary>"
    yield table_of(["run", *names], rows, numbers=range(1, len(names) + 1))
    yield "</details>"


def _shown(row: BenchRow) -> str:
    return f"{row.value:.2f}" if row.unit == RATIO else f"{row.value:.4g} {row.unit}"


def _words(run: BenchRun) -> str:
    commit = f", commit {run.commit}" if run.commit else ""
    return f"{run.began}, kbuildpy {run.version}{commit}, {run.kernel}, {run.processors} processors"
