# SPDX-License-Identifier: GPL-2.0-only
"""Verdicts as one page of HTML that stands alone: a table of modules and kernels, then each verdict in full.

All of it is there without the script, which only filters. What a fact of a verdict is called in JSON is the attribute
`data-key` of its place.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from kbuildpy.kernel.errnos import errno_words
from kbuildpy.loader.reports.memory_picture import DrawnBlock, DrawnSection, draw_memory
from kbuildpy.loader.reports.stage_words import STAGE_WORDS
from kbuildpy.loader.verdict import ENDED, PASSED, Placed, Verdict
from kbuildpy.page import as_document, file_beside, table_of, text_of

_MOST_WHOLE = 100
"""Accepted modules that have their stages and their memory; a page of thousands would be too large to open."""
_SIGNS = {"passed": "✓", "failed": "✗", "skipped": "–"}

_STYLE = file_beside(__file__, "page.css")

_SCRIPT = file_beside(__file__, "page.js")


def as_page(rows: Sequence[Sequence[Verdict]]) -> str:
    """The page. Each of `rows` has the verdicts of one file, a kernel each."""
    verdicts = [verdict for row in rows for verdict in row]
    title = _title(verdicts)
    whole = {id(verdict) for verdict in [item for item in verdicts if item.accepted][:_MOST_WHOLE]}
    several = len(verdicts) > 1
    parts = [f"<header><h1>{text_of(title)}</h1>", *(_filters() if several else ()), "</header>\n<main>"]
    if several:
        parts.append(_matrix(rows))
    for number, verdict in enumerate(verdicts):
        parts += _article(verdict, f"verdict-{number}", is_whole=id(verdict) in whole or not verdict.accepted)
    if len([item for item in verdicts if item.accepted]) > len(whole):
        parts.append(f"<p>Only the first {_MOST_WHOLE} accepted modules have their stages and memory.</p>")
    parts.append("</main>")
    return as_document(f"{title}: kbuildpy check", "\n".join(parts), style=_STYLE, script=_SCRIPT if several else "")


def _title(verdicts: Sequence[Verdict]) -> str:
    accepted = sum(verdict.accepted for verdict in verdicts)
    if len(verdicts) == 1:
        [verdict] = verdicts
        return f"{verdict.file} and {verdict.kernel}: {_answer(verdict)}"
    files, kernels = ({getattr(verdict, name) for verdict in verdicts} for name in ("file", "kernel"))
    modules = f"{len(files)} module{'s' * (len(files) != 1)}"
    return f"{modules}, {len(kernels)} kernel{'s' * (len(kernels) != 1)}: {accepted} of {len(verdicts)} accepted"


def _filters() -> Iterator[str]:
    yield '<p><label>Show <input id="words" type="search" placeholder="parts of names and kernels"></label>'
    yield '<label>Outcome <select id="outcome"><option value="">all</option><option value="failed">refused</option>'
    yield '<option value="passed">accepted</option></select></label> <span id="count" role="status"></span></p>'


def _matrix(rows: Sequence[Sequence[Verdict]]) -> str:
    """A table with a line for each file and a column for each kernel."""
    kernels = list(dict.fromkeys(verdict.kernel for row in rows for verdict in row))
    lines, number = [], 0
    for row in rows:
        cells = dict.fromkeys(kernels, "")
        for verdict in row:
            kind = _kind(verdict)
            cells[verdict.kernel] = (
                f'<a class="{kind}" href="#verdict-{number}">{_SIGNS[kind]} {text_of(_short(verdict))}</a>'
            )
            number += 1
        lines.append([text_of(row[0].file), *cells.values()])
    return table_of(["module", *kernels], lines)


def _article(verdict: Verdict, identity: str, *, is_whole: bool) -> Iterator[str]:
    kind = _kind(verdict)
    yield f'<article id="{identity}" class="{kind}">'
    yield f'<h2><span class="sign {kind}" aria-hidden="true">{_SIGNS[kind]}</span> '
    yield f'<span data-key="file">{text_of(verdict.file)}</span> and '
    yield f'<span data-key="kernel">{text_of(verdict.kernel)}</span>: '
    yield f"{text_of(_answer(verdict))}</h2>"
    yield "<dl>"
    for name, key, values in _facts(verdict):
        yield f"<dt>{text_of(name)}</dt>"
        yield f'<dd data-key="{key}">{"<br>".join(values)}</dd>'
    yield "</dl>"
    if verdict.stages and is_whole:
        ended = next((name for name, word in verdict.passage if word == ENDED), "")
        yield f"<h3>The stages of load_module(){f', which ended in {text_of(ended)}' if ended else ', all passed'}</h3>"
        yield _stages(verdict)
    if is_whole and any(verdict.memory.values()):
        yield from _memory(verdict)
    yield "</article>"


def _facts(verdict: Verdict) -> Iterator[tuple[str, str, list[str]]]:
    """The name of each fact, its key in JSON, and its values (HTML); what there is nothing of is left out."""
    refused = verdict.readable and not verdict.accepted
    listed: list[tuple[str, str, Iterable[str]]] = [
        ("module", "name", [verdict.name]),
        ("errno", "errno", [errno_words(verdict.errno)] if verdict.errno else []),
        ("kernel log", "log", [verdict.log or "(nothing)"] if refused else []),
        ("ended in", "stage", [verdict.stage or ""]),
        ("because", "reason", [verdict.reason or ""]),
        ("to do", "hint", (verdict.hint or "").split("\n")),
        ("warns", "warnings", verdict.warnings),
        ("all log lines", "lines", verdict.lines if len(verdict.lines) > 1 or verdict.accepted else ()),
        ("kernel taints", "taints", [verdict.taints or ("none" if verdict.accepted else "")]),
        ("module taints", "module_taints", [verdict.module_taints]),
        ("needs", "requires", verdict.requires or (["nothing"] if verdict.accepted else [])),
        ("size", "size", [] if verdict.size is None else [f"{verdict.size:,} bytes"]),
        ("not beside", "excludes", [f"{item.file}: {item.log}" for item in verdict.excludes]),
        ("not checked", "unchecked", [item.sentence for item in verdict.unchecked]),
    ]
    for name, key, values in listed:
        found = [text_of(value) for value in values if value]
        if found:
            code = key in ("log", "lines", "warnings")
            yield name, key, [f'<span class="code">{value}</span>' for value in found] if code else found


def _stages(verdict: Verdict) -> str:
    items = []
    for name, word in verdict.passage:
        kind = {PASSED: "passed", ENDED: "failed"}.get(word, "skipped")
        does = STAGE_WORDS.get(name, "")
        within = f" (in {text_of(verdict.stage)})" if word == ENDED and verdict.stage not in (None, name) else ""
        said = "refused here" if word == ENDED else word
        items.append(
            f'<li class="{kind}" title="{text_of(does)}"><span aria-hidden="true">{_SIGNS[kind]}</span> '
            f'<span class="code">{text_of(name)}</span>{within} <span class="dim">{said}</span></li>'
        )
    return f'<ol class="stages">{"".join(items)}</ol>'


def _memory(verdict: Verdict) -> Iterator[str]:
    per_cpu = [item.size for item in verdict.sections if item.memory == _PER_CPU]
    blocks = [
        DrawnBlock(kind, size, kind.startswith("init"), [_drawn(item) for item in _in_order(verdict, kind)])
        for kind, size in verdict.memory.items()
        if size
    ]
    besides = [f"per CPU: {size:,} bytes for each processor" for size in per_cpu]
    yield f"<details><summary>Memory: {len(verdict.sections)} sections</summary>"
    yield draw_memory(verdict.kernel, blocks, besides=besides)
    rows = [[text_of(item.section), item.memory, f"{item.offset:#x}", str(item.size)] for item in verdict.sections]
    yield table_of(["section", "memory", "offset", "bytes"], rows, numbers=(2, 3))
    yield "</details>"


def _in_order(verdict: Verdict, kind: str) -> list[Placed]:
    return sorted((item for item in verdict.sections if item.memory == kind), key=lambda item: item.offset)


def _drawn(item: Placed) -> DrawnSection:
    return DrawnSection(item.section, item.offset, item.size, _ACCESS.get(item.memory.removeprefix("init_"), ""))


def _kind(verdict: Verdict) -> str:
    return "passed" if verdict.accepted else "failed"


def _short(verdict: Verdict) -> str:
    if not verdict.readable:
        return "unreadable"
    if verdict.accepted:
        return "accepted, warns" if verdict.warnings else "accepted"
    return verdict.errno or "undefined"


def _answer(verdict: Verdict) -> str:
    if not verdict.readable:
        return "not checked, the file cannot be read"
    if verdict.accepted:
        return "accepted"
    return f"refused with {verdict.errno}" if verdict.errno else "not safe to load, though not refused"


_PER_CPU = "percpu"
_ACCESS = {"text": "code", "rodata": "read-only", "ro_after_init": "read-only after init", "data": "writable"}
"""The access to a type of memory, from 6.4 on; core and init have all kinds."""
