# SPDX-License-Identifier: GPL-2.0-only
"""Prints what is known about a message below that message, and keeps it for `--format json`."""

from __future__ import annotations

from collections.abc import Sequence

from kbuildpy.advice.advice import Advice, advice_text
from kbuildpy.say import complain
from kbuildpy.scons.group import Group

_MOST = 60
"""Names that are explained in one build of a group."""


def tell_advice(group: Group, found: Sequence[Advice], left_out: int = 0) -> None:
    """Print those of `found` that were not told in this run; the others are about further files."""
    told = {(advice.kind, advice.subject, advice.lines): number for number, advice in enumerate(group.advice)}
    new = []
    for advice in found:
        number = told.get((advice.kind, advice.subject, advice.lines))
        if number is not None:
            group.advice[number] = group.advice[number].with_files_of(advice)
        elif len(group.advice) < _MOST:
            new.append(advice)
            group.advice.append(advice)
    text = advice_text(new, left_out=left_out if new else 0)
    if text:
        complain(text, whose=group.whose)


def wants_advice(group: Group) -> bool:
    """Whether there is room for more: with hundreds of errors of one kind, help with the first ones is help enough."""
    return len(group.advice) < _MOST
