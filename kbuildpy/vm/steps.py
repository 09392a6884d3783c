# SPDX-License-Identifier: GPL-2.0-only
"""The result of one step of a module in words: an errno, a hang, or the death of the kernel."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

from kbuildpy.kernel.errnos import errno_name, errno_words
from kbuildpy.vm.boot_report import GuestStep
from kbuildpy.vm.complaints import Complaint, find_complaints, module_in, one_for_each_defect
from kbuildpy.vm.trial import Trial

# What the kernel logs when it does not take a module, before its init function runs (kernel/module/, kernel/params.c,
# arch/*/kernel/module.c, kernel/bpf/btf.c, kernel/livepatch/core.c, mm/percpu.c, mm/execmem.c, mm/vmalloc.c). Where it
# logs nothing, only some errnos are never an init function's.
_REFUSAL = re.compile(
    r"version magic|Unknown symbol|disagrees about version|no symbol version|(invalid|too large) for parameter"
    r"|Invalid ELF|(Loading of|[Mm]odule) .*is rejected|section size must match|is blacklisted|exports duplicate symbol"
    r"|unsupported (RELA )?relocation|Unknown rela? relocation|Invalid module|gave up waiting"
    r"|uses symbols? .* from (namespace|proprietary module .*\.$)|Invalid parameter|nvalid relocation target"
    r"|overflow in relocation|REL relocation unsupported|bytes percpu data|No module found in object"
    r"|has an invalid section index|has both \.ctors|module has no symbols|is marked as livepatch module, but"
    r"|tries to import module namespace|please compile with -fno-common|invalid WRITE\|EXEC flags|string doesn't fit in"
    r"|string parameter too long|can only take \d+ arguments|needs at least \d+ arguments|no flags for exported symbols"
    r"|ELF Spec violation|empty section name table|symbol string table|extended version crc|symbol name out of bounds"
    r"|Invalid architecture|\.gnu\.linkonce\.this_module|Only one \.modinfo|failed to validate module"
    r"|^livepatch: .*(incorrectly formatted|not marked as)|not signed with expected|unexpected non-zero params"
    r"|digest memory buffer|^execmem: unable to allocate|^vmap allocation .* failed|vmalloc error: "
    r"|Unknown parameter `|allocate \d+ bytes for module|module PLT section",
)
# Messages about a module that it accepts.
_REMARK = re.compile(
    rf"{_REFUSAL.pattern}|^Kernel module BTF mismatch|per-cpu alignment|gnoring obsolete|no extended symbol version"
)
_REFUSALS = ("ENOEXEC", "EEXIST", "EKEYREJECTED", "EPERM")

HARM = {"panic", "oops", "bug", "stall", "hang", "killed"}
"""The kinds of complaints after which a kernel is damaged: a lock may be held for ever, a processor may be lost."""
_TAINTS = {1 << 5: "B (bad page)", 1 << 7: "D (oops or BUG)", 1 << 9: "W (warning)", 1 << 14: "L (soft lockup)"}


def complaints_of(
    trial: Trial, step: GuestStep, before: int, *, removal: bool, held: str, names: Sequence[str], limit: float
) -> list[Complaint]:
    """What is wrong with `step`, the removal of `trial` or else its loading, in the order of importance.

    `before` is the kernel's taint mask before it, `held` the line of /proc/modules of a module that was not removed,
    `names` all modules that a trace may blame, `limit` the seconds that were waited.
    """
    found = one_for_each_defect(find_complaints(step.log, modules=names))
    if step.late:
        found.insert(0, _hang("exit" if removal else "init", step, limit, trial.name))
    elif step.killed and not any(complaint.kind in HARM for complaint in found):
        doing, function = ("removing", "exit") if removal else ("loading", "init")
        words = f"the kernel killed the process that was {doing} it, in its {function} function"
        found.insert(0, Complaint("killed", words, tuple(step.log), trial.name))
    elif step.errno:
        found.insert(0, _not_removed(trial, step, held) if removal else _not_loaded(step))
    if not found:
        found += _new_taints(step, before)
    return found


def complaints_in_test(step: GuestStep, before: int, *, names: Sequence[str]) -> list[Complaint]:
    """What the kernel complained about while a test ran; `before` is the kernel's taint mask before it, `names` are the
    modules that a trace may blame."""
    found = one_for_each_defect(find_complaints(step.log, modules=names)) or _new_taints(step, before)
    if step.late:
        lines = (*step.stack, *step.log)
        words = f"a process of the test hangs in the kernel, and no signal ends it ({step.late})"
        found.insert(0, Complaint("hang", words, lines, module_in(lines, names)))
    return found


def remarks_in(step: GuestStep) -> tuple[str, ...]:
    """The kernel's remarks about a module that it took, which are no complaints: for one, that it goes on without the
    module's type information."""
    return tuple(line for line in step.log if _REMARK.search(line)) if step.errno == 0 else ()


def with_death(complaints: Sequence[Complaint], step: GuestStep, *, removal: bool, hung: bool) -> list[Complaint]:
    """`complaints` of `step`, beyond which the kernel did not get, with the word of that: in the one that tells why, or
    as one of its own. `hung` says that the kernel had to be stopped."""
    function = "exit" if removal else "init"
    where = f"after its {function} function" if step.answered else f"in its {function} function"
    kind, words = ("hang", f"the whole kernel hung {where}") if hung else ("panic", f"the kernel died {where}")
    telling = next((complaint for complaint in complaints if complaint.kind in HARM), None)
    if telling is None:
        return [*complaints, Complaint(kind, words, tuple(step.log[-40:]))]
    # (a stall is how the kernel itself sees that it hangs)
    told = replace(telling, kind=kind if telling.kind == "stall" else telling.kind, words=f"{telling.words}; {words}")
    return [told if complaint is telling else complaint for complaint in complaints]


def _new_taints(step: GuestStep, before: int) -> list[Complaint]:
    """The complaint about flags that no line of the log explains."""
    new = (step.tainted or 0) & ~before
    words = ", ".join(word for bit, word in _TAINTS.items() if new & bit)
    return [Complaint("taint", f"it gave the kernel the taint flag {words}", tuple(step.log))] if words else []


def _not_loaded(step: GuestStep) -> Complaint:
    assert step.errno
    lines = tuple(step.log)
    why = next((line for line in lines if _REFUSAL.search(line)), "")
    if why:
        return Complaint("refused", f"the kernel refused it with {errno_words(step.errno)}: {why}", lines)
    if errno_name(step.errno) in _REFUSALS:
        return Complaint("refused", f"the kernel refused it with {errno_words(step.errno)}", lines)
    return Complaint("init", f"its init function returned {errno_words(step.errno)}", lines)


def _not_removed(trial: Trial, step: GuestStep, held: str) -> Complaint:
    assert step.errno
    # (EAGAIN and EWOULDBLOCK are one number, and the kernel means the second: delete_module(2))
    why = errno_words(step.errno).replace("EAGAIN", "EWOULDBLOCK")
    words = f"the kernel refused to remove it with {why}"
    # /proc/modules: name, size, references, those who hold them, state, address
    _, _, references, holders, *_ = (*held.split(), "", "", "", "")
    by = [name for name in holders.split(",") if name not in ("", "-", "[permanent]")]
    if errno_name(step.errno) == "EBUSY" and "cleanup_module" not in {symbol.name for symbol in trial.image.symbols}:
        words += ": it has an init function and no exit function"
    elif by:
        words += f": {', '.join(by)} uses it"
    elif references not in ("", "0", "-"):
        words += f": it is in use ({references} references)"
    return Complaint("busy", words, tuple(step.log))


def _hang(function: str, step: GuestStep, limit: float, name: str) -> Complaint:
    state = "keeps a processor busy" if step.late.startswith("R") else f"sleeps ({step.late})"
    words = f"its {function} function did not return within {limit:g} s: it {state}"
    lines = (*step.stack, *step.log)
    return Complaint("hang", words, _trace_through(name, lines), module_in(lines, [name]))


def _trace_through(name: str, lines: tuple[str, ...]) -> tuple[str, ...]:
    """Of the traces of all processors, the one that goes through module `name`; all of `lines` if there is none."""
    starts = [number for number, line in enumerate(lines) if line.startswith(("NMI backtrace", "sysrq: CPU"))]
    for start, stop in pairwise([*starts, len(lines)]):
        if module_in(lines[start:stop], [name]):
            return lines[start:stop]
    return lines
