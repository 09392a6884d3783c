"""A bar on the terminal for work that takes its time."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from typing import TypeVar

Item = TypeVar("Item")

BAR_FROM = 20
"""Fewer modules than this are done before a bar could be read."""


def with_bar(results: Iterator[Item], count: int, *, quiet: bool) -> tuple[Iterator[Item], Callable[[str], None]]:
    """`results`, which will be `count`, with a bar on standard error where that is a terminal; and how to print a line
    meanwhile."""
    if quiet or count < BAR_FROM or not sys.stderr.isatty():
        return results, print
    from tqdm import tqdm

    # (its monitor is a thread, and signing forks)
    tqdm.monitor_interval = 0
    bar = tqdm(results, total=count, unit=" modules", leave=False, file=sys.stderr)

    def say(line: str) -> None:
        # (above the bar, where both go to one terminal)
        if sys.stdout.isatty():
            bar.write(line, file=sys.stdout)
        else:
            print(line)

    return iter(bar), say
