# SPDX-License-Identifier: GPL-2.0-only
"""A progress bar on the terminal for long work."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

if TYPE_CHECKING:
    from tqdm import tqdm

Item = TypeVar("Item")

BAR_FROM = 20
"""The fewest modules with a progress bar; fewer are done too quickly."""


class Say(Protocol):
    """A function that prints a line."""

    def __call__(self, line: str, /, *, error: bool = False) -> None: ...


def with_bar(results: Iterator[Item], count: int, *, quiet: bool, unit: str = " modules") -> tuple[Iterator[Item], Say]:
    """`results`, of which there are `count`, with a progress bar (in `unit`) on standard error if that is a terminal;
    and the function that prints a line above the bar (an `error` on standard error)."""

    if quiet or count < BAR_FROM or not sys.stderr.isatty():
        return results, print_line
    from tqdm import tqdm

    # (tqdm's monitor is a thread, and signing forks)
    tqdm.monitor_interval = 0
    bar = tqdm(results, total=count, unit=unit, leave=False, file=sys.stderr)
    return iter(bar), _above(bar)


@contextmanager
def with_work_bar(total: int, *, quiet: bool) -> Iterator[tuple[Callable[[int], object], Say]]:
    """A function that takes how much more of `total` was done, in any unit, for a bar as above; and the function that
    prints a line above the bar."""
    if quiet or not total or not sys.stderr.isatty():
        yield lambda _: None, print_line
        return
    from tqdm import tqdm

    tqdm.monitor_interval = 0
    form = "{percentage:3.0f}%|{bar}| {elapsed}<{remaining}"
    with tqdm(total=total, bar_format=form, leave=False, file=sys.stderr) as bar:
        yield bar.update, _above(bar)


@contextmanager
def with_counter(unit: str, *, quiet: bool) -> Iterator[Callable[[int], object]]:
    """A function that takes how many more were done of a number that is not known before; they are counted on standard
    error if that is a terminal."""
    if quiet or not sys.stderr.isatty():
        yield lambda _: None
        return
    from tqdm import tqdm

    tqdm.monitor_interval = 0
    with tqdm(unit=unit, leave=False, file=sys.stderr) as bar:
        yield bar.update


def print_note(text: str) -> None:
    """Print a line about the work on standard error, above a bar that is shown."""
    bars = sys.modules.get("tqdm")
    if bars is None:
        print(f"kbuildpy: {text}", file=sys.stderr, flush=True)
    else:
        bars.tqdm.write(f"kbuildpy: {text}", file=sys.stderr)


def _above(bar: tqdm[Any]) -> Say:
    """The function that prints a line above `bar`."""

    def print_above(line: str, /, *, error: bool = False) -> None:
        if error or sys.stdout.isatty():
            bar.write(line, file=sys.stderr if error else sys.stdout)
        else:
            print_line(line)

    return print_above


def print_line(line: str, /, *, error: bool = False) -> None:
    """Print a line without a bar; an `error` on standard error."""
    print(line, file=sys.stderr if error else sys.stdout, flush=True)
