# SPDX-License-Identifier: GPL-2.0-only
"""A kernel's log -> the places in the source that it mentions.

A place is said only where the file is the one that ran: the build id is the log's where the log has it, and the
functions of a report have the sizes that the log gives them. Else the reason is said.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from kbuildpy.debug.code_symbols import CodeSymbol
from kbuildpy.debug.find_modules import Finder
from kbuildpy.debug.log_facts import LoggedKernel, read_facts
from kbuildpy.debug.log_lines import Mention, read_mentions
from kbuildpy.debug.subjects import Subject
from kbuildpy.elf.constants import SHF_EXECINSTR
from kbuildpy.errors import KbuildError
from kbuildpy.source_place import Place

_REPORT = re.compile(r"-\[ (?:cut here|end (?:trace|Kernel panic))|={20}")
_APART = 60
"""Lines between the mentions of two reports."""


class NotDecoded(NamedTuple):
    """Why a place is not known."""

    words: str
    hint: str


class Decoded(NamedTuple):
    """One mention, and its places."""

    mention: Mention
    file: str
    """The module file; "" where there is none."""
    chains: tuple[tuple[Place, ...], ...] = ()
    """The place and those of the calls that it is inlined by, from the innermost on; several such chains where the log
    does not tell which of several functions of one name is meant."""
    problem: NotDecoded | None = None
    """Of a module: why there are none."""


FindSubject = Callable[[Mention, LoggedKernel], Subject | NotDecoded | None]
"""Gets the file that a mention is about; None for the kernel itself, of which nothing is known."""


def decode_log(lines: Sequence[str], find: FindSubject, *, release: str = "") -> list[Decoded]:
    """What `lines` mention, in order, with the files that `find` gets; `release` is that of the kernel that wrote them,
    "" where only they tell it."""
    facts = read_facts(lines)
    found: list[Decoded] = []
    for report in _reports(lines, read_mentions(lines)):
        kernel = LoggedKernel(release) if release else facts.kernel_at(report[0].number)
        subjects = [(mention, find(mention, kernel)) for mention in report]
        # (a file of another build can have functions of the same size, at other lines)
        others: dict[str, NotDecoded] = {}
        for mention, subject in subjects:
            if isinstance(subject, Subject) and (problem := _other_build(subject, mention)):
                others.setdefault(mention.module, problem)
        for mention, subject in subjects:
            if isinstance(subject, Subject):
                problem = others.get(mention.module)
                decoded = Decoded(mention, str(subject.file), problem=problem) if problem else _decode(subject, mention)
            else:
                decoded = Decoded(mention, "", problem=subject)
            found.append(decoded)
    return found


def find_among(given: Sequence[Subject], finder: Finder, vmlinux: Subject | None = None) -> FindSubject:
    """Takes the `given` modules, those of the right build id or release first; else what `finder` finds."""

    def find(mention: Mention, kernel: LoggedKernel) -> Subject | NotDecoded | None:
        if not mention.module:
            return vmlinux or finder.kernel(kernel.release, kernel.build_id)
        named = [subject for subject in given if subject.module == mention.module]
        if named:
            return min(
                named,
                # (a log may print the beginning of a build id)
                key=lambda subject: (
                    not mention.build_id or not subject.build_id.startswith(mention.build_id),
                    subject.release != kernel.release,
                ),
            )
        try:
            return finder.module(mention.module, kernel.release) or _no_file(mention.module, kernel.release, finder)
        except KbuildError as error:
            return NotDecoded(error.message, error.hint)

    return find


def _no_file(module: str, release: str, finder: Finder) -> NotDecoded:
    if not release:
        return NotDecoded(
            f"there is no {module}.ko, and the log does not tell the release",
            f"name {module}.ko, or the kernel with -k",
        )
    looked = " and ".join(map(str, finder.places(release)))
    return NotDecoded(f"there is no {module}.ko", f"name the {module}.ko that was loaded (looked in {looked})")


def _reports(lines: Sequence[str], mentions: Sequence[Mention]) -> Iterator[list[Mention]]:
    """The mentions by the reports that they belong to."""
    report: list[Mention] = []
    for mention in mentions:
        if report:
            before = report[-1].number
            between = lines[before + 1 : mention.number + 1]
            if len(between) > _APART or any(_REPORT.search(line) for line in between):
                yield report
                report = []
        report.append(mention)
    if report:
        yield report


def _other_build(subject: Subject, mention: Mention) -> NotDecoded | None:
    """Why `subject` is not what ran; None if it may be. Of the kernel itself that is no problem worth a word."""
    if not subject.module:
        return None
    hint = f"name the {subject.module}.ko that was loaded"
    if mention.build_id and subject.build_id and not subject.build_id.startswith(mention.build_id):
        return NotDecoded(
            f"{subject.file}: another build: its build id is {subject.build_id}, the log's {mention.build_id}", hint
        )
    if not subject.image.has_symtab:
        return NotDecoded(f"{subject.file}: it has no symbol table", f"{hint}, before it was stripped")
    symbols = subject.symbols.called(mention.symbol)
    if not symbols:
        return NotDecoded(f"{subject.file}: another build: it has no {mention.symbol}, which the log names", hint)
    # (a variable: KASAN's reports have one, with the distance to whatever symbol the kernel has next)
    code = [symbol for symbol in symbols if symbol.section.flags & SHF_EXECINSTR]
    if code and not any(symbol.has_size(mention.size) for symbol in code):
        sizes = " or ".join(dict.fromkeys(f"{symbol.sizes[0]:#x}" for symbol in code))
        return NotDecoded(
            f"{subject.file}: another build: the size of {mention.symbol} is {sizes}, in the log {mention.size:#x}",
            hint,
        )
    return None


def _decode(subject: Subject, mention: Mention) -> Decoded:
    file = str(subject.file)
    try:
        if subject.debug is None:
            return Decoded(mention, file, problem=_no_debug_information(subject) if subject.module else None)
        symbols = [symbol for symbol in subject.symbols.called(mention.symbol) if symbol.has_size(mention.size)]
        chains = [_chain(subject, symbol, mention) for symbol in symbols]
    except KbuildError as error:
        return Decoded(mention, file, problem=NotDecoded(error.message, error.hint))
    known = tuple(dict.fromkeys(chain for chain in chains if chain))
    code = any(symbol.section.flags & SHF_EXECINSTR for symbol in symbols)
    if known or not subject.module or not code:
        return Decoded(mention, file, known)
    return Decoded(
        mention,
        file,
        problem=NotDecoded(
            f"{file}: its debug information does not have {mention.symbol}",
            "build all of its sources with -g (CONFIG_DEBUG_INFO, or KCFLAGS=-g)",
        ),
    )


def _chain(subject: Subject, symbol: CodeSymbol, mention: Mention) -> tuple[Place, ...]:
    # Behind a call that does not return there may be another line, or another function.
    offset = mention.offset - 1 if mention.returns else mention.offset
    places = subject.places(symbol, offset) if offset <= mention.size else ()
    return tuple(place if place.function else place._replace(function=mention.symbol) for place in places)


def _no_debug_information(subject: Subject) -> NotDecoded:
    if "lib/modules/" in str(subject.file) and "/kernel/" in str(subject.file):
        hint = f"install the debug package of the kernel (Debian: linux-image-{subject.release}-dbg)"
    else:
        hint = "build it with KCFLAGS=-g, or for a kernel with CONFIG_DEBUG_INFO: the code stays the same"
    return NotDecoded(f"{subject.file}: it has no debug information", hint)
