# SPDX-License-Identifier: GPL-2.0-only
"""What becomes of a name, as lines for a terminal."""

from __future__ import annotations

from collections.abc import Iterator

from kbuildpy.kernel.depmod_scan import kmod_name
from kbuildpy.printable import printable
from kbuildpy.which.answer import OK, SKIPPED, STOP, ModuleAnswer

_WIDTH, _WIDE = 14, 24
_MARKS = {OK: "ok", STOP: "STOP", SKIPPED: "-"}


def answer_lines(answer: ModuleAnswer, *, why_not: bool, looked_up_only: bool) -> Iterator[str]:
    """The result in one line, and below it what it comes from; with `why_not`, each step."""
    yield printable(f"{_subject(answer)} for {answer.kernel}: {_result(answer, looked_up_only)}")
    facts = [*(_chain(answer) if why_not else _facts(answer)), *_findings(answer)]
    previous, width = "", _WIDE if why_not else _WIDTH
    for name, text in facts:
        yield f"  {name if name != previous else '':{width}}{printable(text)}".rstrip()
        previous = name


def _subject(answer: ModuleAnswer) -> str:
    return answer.asked if answer.name in ("", answer.asked) else f"{answer.asked}: {answer.name}"


def _result(answer: ModuleAnswer, looked_up_only: bool) -> str:
    if answer.loads is None:
        return "cannot be told"
    if not answer.loads:
        return "would not be loaded"
    if answer.built_in:
        return "is built in"
    return "modprobe would load it" if looked_up_only else "would be loaded"


def _facts(answer: ModuleAnswer) -> Iterator[tuple[str, str]]:
    if answer.alias is not None:
        yield "found as", answer.source
    if answer.file:
        yield "file", answer.file
    before = [each.target.name for each in answer.order if each.target.name != answer.name and each.required]
    if before:
        yield "needs", ", ".join(dict.fromkeys(before))
    soft = [each.target.name for each in answer.order if not each.required]
    if soft:
        yield "softly", ", ".join(dict.fromkeys(soft))
    if answer.options:
        yield "options", answer.options
    for copy in answer.initramfs:
        if kmod_name(copy.file) == answer.name:
            what = "not to be compared" if copy.same is None else "the same" if copy.same else "another build"
            yield "initramfs", f"{copy.image} has it: {what}"
    signature = next((each for each in answer.steps if each.step == "signature" and each.state == OK), None)
    if signature:
        yield "signature", signature.text
    stop = answer.stop
    if stop is not None:
        yield "stops at", stop.step
        yield "because", stop.text
        if stop.hint:
            yield "to do", stop.hint
        for each in answer.unread:
            yield "not readable", each


def _chain(answer: ModuleAnswer) -> Iterator[tuple[str, str]]:
    """Each step, in a line of its own."""
    for each in answer.steps:
        mark = _MARKS.get(each.state, "?")
        yield f"{mark:5}{each.step}", each.text
        if each.hint and each.state not in (OK, SKIPPED):
            yield "     to do", each.hint
    for place in answer.keys:
        counts = "" if place.trusted else f" (not for modules: {place.why})"
        counts = f" (not known: {place.why})" if place.trusted is None else counts
        yield "     keys", f"{place.name}: {', '.join(place.keys)}{counts}"
    for missing in answer.unread:
        yield "     not readable", missing


def _findings(answer: ModuleAnswer) -> Iterator[tuple[str, str]]:
    for each in answer.findings:
        yield "note", each.text + (f" ({each.hint})" if each.hint else "")
