# SPDX-License-Identifier: GPL-2.0-only
"""Puts what load_module() says beside what a kernel said, module by module, in the order in which the kernel was asked.

What came before counts: the kernel warns once of most taints, and modules that are loaded export symbols. So each
prediction is made for the kernel as it was just then: with the taints that it reported, and the modules it had.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from kbuildpy.compression import decompress
from kbuildpy.kernel.errnos import errno_name
from kbuildpy.loader.kernel import LoaderKernel
from kbuildpy.loader.lifecycle.unload import delete_module
from kbuildpy.loader.load_module import load_module
from kbuildpy.loader.loaded import Modules
from kbuildpy.loader.stages.taints import ORDER
from kbuildpy.loader.verdict import Verdict
from tests.vm.referee.cases import Case, Load, steps_of
from tests.vm.referee.guest import Answer, Boot, Removal

# What a module of ours logs itself when it starts and when it ends.
_OWN = "said: "
# How a stack dump begins, and how it ends.
_CUT = "------------[ cut here ]"
_TRACE = re.compile(r" ?\[<[0-9a-f]{16}>\] \S+\+0x| \S+ from \S+\+0x|Exception stack\(|[0-9a-f]{4}: ")
"""A line of a trace of riscv64, s390x or arm, which has no line behind it."""
_TRACE_OF_ARM64 = re.compile(r" \S+\+0x[0-9a-f]+/0x[0-9a-f]+( |$)|Call trace:")
"""The same of arm64; those of i386 are like these, and end with registers."""
_DUMPS = {_CUT: "---[ end trace ", "CPU: ": " </TASK>"}
RETPOLINE = "whether the kernel minds modules without retpolines depends on the processor"
CODE = "what ftrace knows of the place that it could not change"
PLACES = "several places in the function warn, once each"
MESSAGE = "remarks about a signature's parts, beside the errno"
NOTICE = "what trace_printk() costs, a page long, once"
DER = "a signature that is not DER; the kernel's decoder lets some of that pass"
EXCUSES = {
    r"Spectre V2 : System may be vulnerable to spectre v2": RETPOLINE,
    r".*: loading module not compiled with retpoline compiler\.": RETPOLINE,
    r" expected tramp: ": CODE,
    r"ftrace record flags: ": CODE,
    r" \(\d+\) +": CODE,
    r"WARNING: .* apply_retpolines\+": PLACES,
    r"PKCS7: ": MESSAGE,
    r"\*\*|$": NOTICE,
    r"Unsupported (digest|pkey) algo: ": MESSAGE,
}
"""Lines of the kernel log that nobody can foresee from the module, or that say no more than the errno, and why."""
BUG = r"-+\[ ftrace bug \]-+"
FTRACE = (
    BUG,
    r"WARNING: .*arch/x86/kernel/ftrace\.c:",
    r"WARNING: .* ftrace_bug\+",
    r"ftrace (failed to modify|faulted)",
    r"\[<.*>\] ",
    r" actual: ",
    r" expected: ",
    r"Initializing ftrace call sites",
)
"""What is said of a bug of ftrace, which looks at no module any more after it."""
ONCE = (
    r"missing return thunk: ",
    r"WARNING: .* apply_returns\+",
    r"Kernel module BTF mismatch detected",
    r"WARNING: .* __layout_sections\+",
    r"WARNING: .* unwind_module_init\+",
    r"\S+: no extended symbol version for ",
    *FTRACE,
)
"""Lines that a kernel says once, of whichever module is the first."""
_PLACEHOLDER = re.compile(r"(<[a-z]+>)")


Judging = Callable[..., tuple[Verdict, Modules]]
"""What gives verdicts, with the parameters of `load_module`."""


@dataclass(frozen=True)
class Comparison:
    """A module, what we say and what the kernel said. `differences` are words like "errno", none where both agree;
    `excuses` the reasons for lines of the kernel's that were left out (see `EXCUSES`)."""

    name: str
    verdict: Verdict
    answer: Answer
    differences: tuple[str, ...]
    excuses: tuple[str, ...] = ()

    def __str__(self) -> str:
        ours = (self.verdict.errno, list(self.verdict.lines), self.verdict.size, self.verdict.module_taints)
        theirs = (_errno_name(self.answer), list(said(self.answer)), self.answer.line, self.answer.taint)
        return f"{self.name}: {', '.join(self.differences)}\n    ours   {ours}\n    theirs {theirs}"


def is_undefined(verdict: Verdict) -> bool:
    """Whether a kernel would do anything: such a module is not put before it."""
    return not verdict.accepted and verdict.errno is None


def defined(cases: Sequence[Case], kernel: LoaderKernel) -> tuple[list[Case], list[tuple[Case, Verdict]]]:
    """The cases that a kernel may be asked of, and those that it does not check, with what we say to them."""
    asked, unchecked = [], []
    for case in cases:
        verdict = judged(case, kernel)
        if is_undefined(verdict):
            unchecked.append((case, verdict))
        else:
            asked.append(case)
    return asked, unchecked


def judged(case: Case, kernel: LoaderKernel) -> Verdict:
    """What we say of the module of `case`, or, where that is undefined, of one that it needs, alone in a kernel."""
    last: Verdict | None = None
    modules = Modules()
    for step in steps_of([case]):
        if isinstance(step, Load):
            last, modules = _predict(step, kernel, modules)
            if is_undefined(last):
                break
    assert last is not None
    return last


def compare(boots: Iterable[Boot], kernel: LoaderKernel, *, judge: Judging = load_module) -> list[Comparison]:
    """What we say and what the kernel said, for each module of `boots`; we say what `judge` returns."""
    return [comparison for boot in boots for comparison in _compare(boot, kernel, judge)]


def _compare(boot: Boot, kernel: LoaderKernel, judge: Judging) -> Iterator[Comparison]:
    tainted, modules = boot.tainted, Modules()
    once: set[str] = set()
    for event in boot.events:
        if isinstance(event, Removal):
            if event.errno == 0:
                modules = _without(modules, event.name)
            continue
        now = replace(kernel, tainted=taint_letters(tainted))
        verdict, after = _predict(event.step, now, modules, judge)
        verdict = replace(verdict, lines=tuple(_unsaid(verdict.lines, once)))
        differences = [*_differences(verdict, event, tainted)]
        if event.unloaded is not None and verdict.accepted:
            removal = delete_module(after, verdict.name, kernel, flags=os.O_NONBLOCK)
            if removal.errno != (errno_name(event.unloaded) if event.unloaded else None):
                differences.append(f"the removal ({removal.errno})")
        excuses = tuple(dict.fromkeys(filter(None, map(excuse_for, event.log))))
        if differences and event.step.case.startswith("random ") and verdict.stage == "module_sig_check":
            differences, excuses = [], (*excuses, DER)
        yield Comparison(event.step.case, verdict, event, tuple(differences), excuses)
        if event.errno == 0 and verdict.accepted:
            modules = after
            if event.unloaded == 0:
                modules = _without(modules, verdict.name)
        tainted = event.tainted if event.left is None else event.left


def _unsaid(lines: Iterable[str], once: set[str]) -> Iterator[str]:
    """Of `lines` those that are not said again; what is said now goes to `once`."""
    over = {*once, *(FTRACE if BUG in once else ())}
    for line in lines:
        if excuse_for(line):
            continue
        kind = next((kind for kind in ONCE if re.match(kind, line)), "")
        if not kind or kind not in over:
            yield line
        if kind:
            over.add(kind)
            once.add(kind)


def _predict(
    step: Load, kernel: LoaderKernel, modules: Modules, judge: Judging = load_module
) -> tuple[Verdict, Modules]:
    kernel = replace(kernel, sig_enforce=step.enforced)
    packed = step.contents if step.call == "packed" else b""
    contents = decompress(step.contents) if packed else step.contents
    return judge(contents, kernel, modules, step.args, on_demand=False, packed=packed)


def _differences(verdict: Verdict, answer: Answer, tainted: int) -> Iterator[str]:
    if answer.died:
        yield f"the kernel died of it ({answer.died})"
        return
    if verdict.errno != _errno_name(answer) or verdict.accepted != (answer.errno == 0):
        yield "errno"
    lines = said(answer)
    ours = _on_console(verdict.lines)
    if len(lines) != len(ours) or not all(map(_same, ours, lines)):
        yield "lines"
    if verdict.log is not None and not any(_same(_on_console([verdict.log])[0], line) for line in lines):
        yield "the line"
    if set(taint_letters(answer.tainted)) != {*taint_letters(tainted), *verdict.taints}:
        yield "the kernel's taints"
    if verdict.accepted and answer.errno == 0:
        if answer.taint != verdict.module_taints:
            yield "the module's taints"
        if not answer.line.startswith(f"{verdict.name} {verdict.size} "):
            yield "name or size"


def said(answer: Answer) -> tuple[str, ...]:
    """The kernel's lines, without what the module said itself, without those of `EXCUSES`, and of a stack dump only
    what is warned of."""
    kept = []
    end = before = ""
    warned, trace = False, _TRACE
    for line in answer.log:
        if not end:
            end = next((after for before, after in _DUMPS.items() if line.startswith(before)), "")
            warned = not line.startswith(_CUT)
            if end:
                continue
        trace = _TRACE_OF_ARM64 if line == "Call trace:" else trace if end else _TRACE
        if end == " </TASK>" and trace.match(before) and not trace.match(line):
            end = ""
        # (on machines where WARN() is no trap, its message comes here)
        warned = warned or line.startswith("Modules linked in:")
        if not (warned if end else line.startswith(_OWN)) and not excuse_for(line):
            kept.append(line)
        before = line
        if end and line.startswith(end):
            end = ""
    return tuple(kept)


def excuse_for(line: str) -> str:
    """Why we need not predict a line of the kernel's, "" if we must."""
    return next((reason for pattern, reason in EXCUSES.items() if re.match(pattern, line)), "")


def _on_console(lines: Iterable[str]) -> list[str]:
    """As the console shows them: a message with newlines in it, which a damaged name may have, is several lines."""
    shown = (part.replace("\r", "") for line in lines for part in line.split("\n"))
    return [part for part in shown if part]


def taint_letters(mask: int) -> str:
    """A mask of taints as letters."""
    return "".join(letter for bit, letter in enumerate(ORDER) if mask >> bit & 1)


def _same(ours: str, theirs: str) -> bool:
    # (the console's bytes were decoded so)
    shown = ours.encode("utf-8", "surrogateescape").decode(errors="replace")
    if shown == theirs:
        # (a line of dyndbg has a word in angle brackets that stands for nothing)
        return True
    if ours == "[<<ip>>] 0x<ip>":
        # (a damaged table may name a function of the kernel's)
        return re.fullmatch(r"\[<[0-9a-f]+>\] \S+", theirs) is not None
    # (ThinLTO renames static functions that it moves to another object)
    theirs = re.sub(r"\.llvm\.\d+(?=\+)", "", theirs)
    pattern = "".join(map(_pattern, _PLACEHOLDER.split(shown)))
    return re.fullmatch(pattern, theirs) is not None


def _pattern(part: str) -> str:
    """Of a placeholder, or of what is between them."""
    if part in ("<dest>", "<command>", "<function>"):
        # (names: where damaged code jumps to, there may be a function of the kernel's)
        return r"\S+"
    # (a kernel without random numbers yet does not tell where something is, lib/vsprintf.c: ptr_to_id)
    return r"([0-9a-fA-Fx/: ]+|\(____ptrval____\))" if _PLACEHOLDER.fullmatch(part) else re.escape(part)


def _errno_name(answer: Answer) -> str | None:
    return errno_name(answer.errno) if answer.errno else None


def _without(modules: Modules, name: str) -> Modules:
    return replace(modules, loaded=tuple(module for module in modules.loaded if module.name != name))
