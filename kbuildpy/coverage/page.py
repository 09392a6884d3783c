# SPDX-License-Identifier: GPL-2.0-only
"""Coverage as one page of HTML that needs no other file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from kbuildpy.coverage.report import Counted, FileCoverage, short_path, totals
from kbuildpy.files import read_regular
from kbuildpy.printable import printable
from kbuildpy.template_path import template_path

_LARGEST = 8 << 20  # bytes of a source


@dataclass(frozen=True)
class SourceLine:
    """A line of a file."""

    number: int
    text: str
    count: int | None
    """How often it was reached; None for a line without code."""
    branches: str
    """Of its branches, how many were taken; "" without branches."""

    @property
    def kind(self) -> str:
        """What the page shows of it."""
        if self.count is None:
            return "none"
        return "hit" if self.count else "missed"


class PageFile(NamedTuple):
    """A file on the page."""

    name: str
    lines: Counted
    functions: Counted
    branches: Counted
    uncalled: list[str]
    """The functions that were not called."""
    source: list[SourceLine]
    problem: str
    """Why there is no source."""


def as_page(files: Sequence[FileCoverage], *, kernel: str, modules: Sequence[str], base: str) -> str:
    """The page of `files`, for `modules` in `kernel`; paths below `base` are told from there."""
    import jinja2  # (slow)

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(template_path("coverage")),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    template = environment.get_template("page.html.j2")
    sums = totals(files)
    return template.render(
        kernel=printable(kernel),
        modules=[printable(name) for name in modules],
        sums=[("lines", sums.lines), ("functions", sums.functions), ("branches", sums.branches)],
        files=[_page_file(file, base) for file in files],
    )


def _page_file(file: FileCoverage, base: str) -> PageFile:
    try:
        contents = read_regular(Path(file.path))
        problem = f"larger than {_LARGEST >> 20} MiB" if len(contents) > _LARGEST else ""
    except OSError as error:
        contents, problem = b"", error.strerror or str(error)
    text = [] if problem else contents.decode(errors="replace").split("\n")
    if text and not text[-1]:
        text.pop()
    source = [
        SourceLine(number, printable(line.expandtabs(8)), file.lines.get(number), _taken(file.branches.get(number, ())))
        for number, line in enumerate(text, 1)
    ]
    return PageFile(
        name=printable(short_path(file.path, base)),
        lines=file.line_count,
        functions=file.function_count,
        branches=file.branch_count,
        uncalled=[function.name for function in file.functions if not function.count],
        source=source,
        problem=problem,
    )


def _taken(counts: Sequence[int]) -> str:
    return f"{sum(count > 0 for count in counts)}/{len(counts)}" if counts else ""
