# SPDX-License-Identifier: GPL-2.0-only
"""A bar on the terminal for work that takes its time."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Protocol, TypeVar

Item = TypeVar("Item")

BAR_FROM = 20
"""Fewer modules than this are done before a bar could be read."""


class Say(Protocol):
    """Prints a line."""

    def __call__(self, line: str, /, *, error: bool = False) -> None: ...


def with_bar(results: Iterator[Item], count: int, *, quiet: bool) -> tuple[Iterator[Item], Say]:
    """`results`, which will be `count`, with a bar on standard error where that is a terminal; and how to print a line
    meanwhile, an `error` on standard error."""

    if quiet or count < BAR_FROM or not sys.stderr.isatty():
        return results, print_line
    from tqdm import tqdm

    # (its monitor is a thread, and signing forks)
    tqdm.monitor_interval = 0
    bar = tqdm(results, total=count, unit=" modules", leave=False, file=sys.stderr)

    def print_above(line: str, /, *, error: bool = False) -> None:
        if error or sys.stdout.isatty():
            bar.write(line, file=sys.stderr if error else sys.stdout)
        else:
            print_line(line)

    return iter(bar), print_above


def print_line(line: str, /, *, error: bool = False) -> None:
    """Print a line where there is no bar, an `error` on standard error."""
    print(line, file=sys.stderr if error else sys.stdout, flush=True)
