# SPDX-License-Identifier: GPL-2.0-only
"""`--params [NAME:]'PARAM=VALUE ...'`: parameters of modules."""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from kbuildpy.errors import UsageError

_NAMED = re.compile(r"([A-Za-z0-9_-]+):\s*(.*)", re.DOTALL)


class Parameters(NamedTuple):
    """One `--params`: the module's name ("" for none), and the parameters as insmod takes them."""

    module: str
    words: str


def add_params(parser: argparse.ArgumentParser, *, whose: str) -> None:
    """Add the option; `whose` names, for the help text, the modules that get parameters without a module's name."""
    parser.add_argument(
        "-p",
        "--params",
        action="append",
        default=[],
        metavar="[NAME:]'PARAM=VALUE ...'",
        help=f"parameters as insmod takes them, of module NAME; {whose} without NAME",
    )


def read_params(given: Iterable[str], modules: Sequence[str]) -> list[Parameters]:
    """Parse the options `given`, in order. Raises `UsageError` for a name that is not in `modules`."""
    found = []
    for option in given:
        match = _NAMED.fullmatch(option)
        name = match[1].replace("-", "_") if match else ""
        if name and name not in modules:
            raise UsageError(
                f"--params {option!r}: no module {name} was named, only {', '.join(modules)}",
                hint="NAME:'debug=3' is for one module; 'debug=3' is without a NAME",
            )
        found.append(Parameters(name, match[2] if match else option))
    return found


def words_of(module: str, parameters: Iterable[Parameters]) -> str:
    """All parameters of `module`: those that name it, and those without a name."""
    return " ".join(item.words for item in parameters if item.module in ("", module))
