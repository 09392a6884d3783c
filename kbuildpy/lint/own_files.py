# SPDX-License-Identifier: GPL-2.0-only
"""Which files are a module's, and which the kernel's or the system's, where findings are not the author's.

A finding inside of a kernel macro or of an inlined function of a kernel header is the author's, though: it belongs to
the line that uses it.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from kbuildpy.kernel.tree import KernelTree
from kbuildpy.lint.finding import Finding, FindingNote

_SYSTEM = ("/usr/include/", "/usr/lib/", "/usr/share/", "/usr/local/")
_USED = re.compile(r"in expansion of macro|inlined from|expanded from")


def is_own_file(tree: KernelTree, directory: str) -> Callable[[str], bool]:
    """Whether a path (absolute) is one of the module in `directory` (physical); sources may lie beside it."""
    foreign = (f"{tree.source}/", f"{tree.objects}/", *_SYSTEM)

    def is_own(path: str) -> bool:
        if path.startswith("<"):
            return False  # (a macro of the command line)
        real = path if path.startswith(f"{directory}/") else os.path.realpath(path)
        # (`#line 7 "parser.y"` names a file from nowhere: Kbuild's commands run in the kernel tree)
        return real.startswith(f"{directory}/") or not (real.startswith(foreign) and os.path.exists(real))  # noqa: PTH110

    return is_own


def at_own_place(finding: Finding, is_own: Callable[[str], bool], *, kernel_headers: bool) -> Finding:
    """`finding` with the lines of the module in place of the macros and inlined functions of kernel headers that are
    used there, its notes as well.

    The places in headers stay as notes if `kernel_headers`; a note that only says how a macro is made of others does
    not stay.
    """
    if is_own(finding.file) and not finding.notes:
        return finding
    whole = FindingNote(finding.file, finding.line, finding.column, finding.message)
    notes: list[FindingNote] = []
    for note, used in _with_uses([whole, *finding.notes]):
        own = None if is_own(note.file) else next((use for use in used if is_own(use.file)), None)
        notes.append(note._replace(file=own.file, line=own.line, column=own.column) if own else note)
        if kernel_headers:
            notes += [note._replace(text=f"here: {note.text}")] if own else []
            notes += [use for use in used if use is not own]
    first, *others = notes
    return replace(finding, file=first.file, line=first.line, column=first.column, notes=tuple(others))


def _with_uses(notes: Sequence[FindingNote]) -> Iterator[tuple[FindingNote, list[FindingNote]]]:
    """Each note with those behind it that say where the macro or function that it is in is used."""
    at = 0
    while at < len(notes):
        end = at + 1
        while end < len(notes) and _USED.match(notes[end].text):
            end += 1
        yield notes[at], list(notes[at + 1 : end])
        at = end
