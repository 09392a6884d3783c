# SPDX-License-Identifier: GPL-2.0-only
"""What one report of a kernel is about: the first place in a module that it names."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from kbuildpy.debug.decode import Decoded, NotDecoded, decode_log
from kbuildpy.debug.decoded_text import chain_texts, decoded_lines
from kbuildpy.debug.log_facts import LoggedKernel
from kbuildpy.debug.log_lines import Mention
from kbuildpy.debug.subjects import Subject
from kbuildpy.source_place import NOT_EXPLAINED, Explain, Explained


def explainer(subjects: Sequence[Subject], directory: Path) -> Explain:
    """Explains reports of a kernel in which `subjects` are loaded; paths below `directory` are told from there."""
    by_name = {subject.module: subject for subject in subjects}

    def find(mention: Mention, _: LoggedKernel) -> Subject | NotDecoded | None:
        return by_name.get(mention.module)

    def explain(lines: Sequence[str], module: str) -> Explained:
        decoded = decode_log(lines, find)
        if not decoded:
            return NOT_EXPLAINED
        subject = by_name.get(module)
        roots = [str(directory), *(root for each in subjects for root in each.source_roots())]
        about = [each for each in decoded if each.mention.module == module] if subject else []
        where = _first(about)
        problem = next((each.problem for each in about if each.problem), None) if where is None else None
        chain = where.chains[0] if where else ()
        return Explained(
            where=chain,
            titles=tuple(chain_texts(chain, roots)),
            lines=tuple(decoded_lines(lines, decoded, roots=roots)),
            problem=f"{problem.words} ({problem.hint})" if problem else "",
        )

    return explain


def _first(about: Sequence[Decoded]) -> Decoded | None:
    """The first place that the kernel is sure of, and that is one place only."""
    known = [each for each in about if len(each.chains) == 1]
    return next((each for each in known if each.mention.certain), known[0] if known else None)
