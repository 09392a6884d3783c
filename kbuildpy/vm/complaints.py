# SPDX-License-Identifier: GPL-2.0-only
"""Finds the complaints in a kernel's log.

Each kind is known by the line that the kernel begins with (the place in the kernel is named with it); the lines that
follow, up to the end of the trace, belong to it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from kbuildpy.source_place import NOT_EXPLAINED, Explained
from kbuildpy.vm.asynchronous import is_asynchronous
from kbuildpy.vm.report import FORGED


@dataclass(frozen=True)
class Complaint:
    """A defect that the kernel reported."""

    kind: str
    """The kind, a word for programs."""
    words: str
    """A sentence for people."""
    log: tuple[str, ...] = ()
    """The kernel's lines about it."""
    module: str = ""
    """The module that these lines name, "" if they name none."""
    explained: Explained = NOT_EXPLAINED
    """The places in the source that these lines mention."""

    @property
    def text(self) -> tuple[str, ...]:
        """The kernel's lines with the places, as far as they are known."""
        return self.explained.lines or self.log

    def title(self) -> list[str]:
        """What it is, in lines: the place in the module first."""
        places, problem = self.explained.titles, self.explained.problem
        if places:
            return [f"{self.kind}: {places[0]}", *(f"  {text}" for text in (*places[1:], self.words))]
        return [f"{self.kind}: {self.words}", *([f"  no place: {problem}"] if problem else [])]

    def to_json(self) -> dict[str, object]:
        """As `--format json` prints it."""
        return {
            "kind": self.kind,
            "words": self.words,
            "where": [place.to_json() for place in self.explained.where],
            "log": list(self.log),
            "decoded": list(self.explained.lines),
        }


# kind, what the line looks like, and what it means; the first that fits counts. `{0}` is the line.
_KINDS = [
    (kind, re.compile(pattern), words)
    for kind, pattern, words in (
        ("forged", rf"^{re.escape(FORGED)}", "the module printed a forged report: {0}"),
        # kernel/panic.c
        ("panic", r"^Kernel panic - not syncing", "the kernel panicked: {0}"),
        # arch/x86/mm/fault.c, arch/x86/kernel/traps.c, arch/arm64/mm/fault.c, arch/arm64/kernel/traps.c; the same files
        # of powerpc, s390 and arm
        (
            "oops",
            r"^BUG: ([Kk]ernel NULL pointer|[Uu]nable to handle)|^Unable to handle kernel|^general protection fault"
            r"|^Oops|^Internal error: (?!Oops - BUG)|^(stack segment|divide error|invalid opcode|int3|double fault): ",
            "the kernel oopsed: {0}",
        ),
        # lib/bug.c
        ("bug", r"^kernel BUG at |^Internal error: Oops - BUG", "the module ran into a BUG(): {0}"),
        # kernel/watchdog.c, kernel/rcu/tree_stall.h, kernel/hung_task.c
        (
            "stall",
            r"^watchdog: (BUG|CPU)|^rcu: (INFO|.*detected stalls)|^INFO: (task .* blocked|rcu_.* stall)"
            r"|^NMI watchdog: .*LOCKUP",
            "a processor or a task made no progress: {0}",
        ),
        # kernel/locking/lockdep.c, kernel/locking/lockdep_internals.h
        (
            "lockdep",
            r"^(WARNING|INFO): (possible|bad unlock|inconsistent lock|suspicious RCU|lock held|held lock|.*lock order"
            r"|Nested lock|trying to register non-static)|^INFO: trying to register|^WARNING: (.*lock held"
            r"|chain cache|nested lock)|^DEBUG_LOCKS_WARN_ON",
            "lockdep found a mistake in locking: {0}",
        ),
        # mm/slab_common.c, fs/proc/generic.c, lib/alloc_tag.c, mm/kmemleak.c
        (
            "leak",
            r"Slab cache still has objects|Objects remaining (in .* )?on __kmem_cache_shutdown"
            r"|^remove_proc_entry: removing non-empty directory|allocated at module unload|still alive"
            r"|^kmemleak: .* new suspected memory leak|\bleaking at least\b|^unregister_netdevice: waiting for",
            "the module left something behind: {0}",
        ),
        # KASAN, KFENCE, KCSAN, UBSAN, slab debugging, page state, atomic sleep
        ("bug", r"^(BUG|UBSAN|KCSAN): |^BUG |^ODEBUG: ", "the kernel found a bug: {0}"),
        ("warning", r"^WARNING: ", "the kernel warned: {0}"),
        # kernel/resource.c, kernel/irq/manage.c, mm/vmalloc.c, fs/sysfs/dir.c, fs/proc/generic.c, lib/kobject.c
        (
            "warning",
            r"^Trying to (free|vfree)|^sysfs: cannot create duplicate|^proc_dir_entry .* already registered"
            r"|^kobject: .*(is not initialized|does not have a release|tried to init an initialized)"
            r"|kobject_add_internal failed|^list_(add|del) corruption|^genirq: Flags mismatch|^refcount_t: "
            r"|^VFS: Busy inodes|^sysctl (duplicate entry|table check failed)|^Device '.*' does not have a release",
            "the kernel warned: {0}",
        ),
        # kernel/module/main.c: do_init_module; kernel/params.c; kernel/module/main.c: unknown_module_param_cb
        ("warning", r"suspiciously returned -?\d+", "the init function returned a number that is no errno: {0}"),
        ("parameter", r": unknown parameter '.*' ignored", "a parameter that the module does not have: {0}"),
    )
]
_CUT, _END = re.compile(r"^-+\[ cut here \]-+$"), re.compile(r"^---\[ end (trace|Kernel panic)")
_CONTINUED = re.compile(
    r"^(\s|#PF|PGD|Mem abort|Data abort|Modules linked|CPU:|RIP|Code:|RSP|R[A-Z0-9]{2}:|[FCEDKG]S:|CR2|CS:|DR\d:|PKRU"
    r"|rcu: |Call [Tt]race|Hardware name|pstate|pc :|lr :|sp :|x\d+ ?:|\[[0-9a-f]{16}\] |Workqueue:|Tainted:|Oops"
    r"|Internal error|note: |Kernel panic|Kernel Offset|SMP|Sending NMI|NMI backtrace|Object |FIX "
    r"|Disabling lock|Slab 0x|Allocated in|unwind:|=+$|-+$|invalid opcode|user pgtable|swapper pgtable"
    # i386; powerpc; s390; arm
    r"|\*p[dg]|E[A-Z]{2}:|CR0:|Faulting instruction|[LB]E PAGE_SIZE|(?:NIP|LR)[ :]|REGS:|MSR:|CFAR:|GPR\d\d:"
    r"|IRQMASK:|--- interrupt|Instruction dump|(?:X{8}|[0-9a-f]{8}) [0-9a-f<]|\[[0-9a-f]{16}\]"
    r"|Failing address|Fault in \S+ space|AS:[0-9a-f]|Krnl |Last Breaking"
    r"|8<--- cut|\[[0-9a-f]{8}\] \*p|PC is at|LR is at|r\d+ ?: |Flags: |Control: |Register r\d|Process \S+ \(pid"
    r"|Stack: \(|[0-9a-f]{4}: |Exception stack\()"
)
_LONGEST = 80  # lines of one complaint
# A sanitizer's report is between two such lines (mm/kasan/report.c, mm/kfence/report.c, kernel/kcsan/report.c); those
# of lockdep and of the slab allocator begin with one and end with a trace.
_RULER, _RULED = re.compile(r"^={20,}$"), re.compile(r"^(BUG: K[A-Z]+SAN|BUG: KFENCE|UBSAN): ")
_TRACE = re.compile(r"^Call [Tt]race:")
_TRACED = ("bug", "lockdep", "stall")
_LONGEST_REPORT = 250  # lines
# A slab cache that is destroyed with objects in it
_CACHE = re.compile(r"BUG (\S+) .*Objects remaining|kmem_cache_destroy (\S+): Slab cache still has objects")
# A line of a trace, or the instruction pointer: symbol+offset/size [module]
_PLACE = re.compile(r"(?:\+0x[0-9a-f]+/0x[0-9a-f]+|\bat \S+) \[(\w+)")


def find_complaints(log: Sequence[str], *, modules: Sequence[str] = ()) -> list[Complaint]:
    """The complaints in `log` (lines without time stamps), in order.

    `modules` are the names that a trace may blame.
    """
    # (one such line can come in the middle of a trace, from another processor)
    log = [line for line in log if not is_asynchronous(line)]
    found = []
    number = 0
    while number < len(log):
        block = _block(log[number : number + _LONGEST])
        if block:
            number += len(block)
            found += _complaint_of(block, modules)
            continue
        kind, words = _kind_of(log[number])
        if not kind:
            number += 1
            continue
        start = number - 1 if number and (_CUT.match(log[number - 1]) or _RULER.match(log[number - 1])) else number
        number = max(number + 1, _end_of_report(log, number, kind))
        longest = number + _LONGEST
        # (behind a ruler that ends a report there is nothing of it)
        while number < min(len(log), longest) and not (number > start + 2 and _RULER.match(log[number - 1])):
            ended = _END.match(log[number])
            if not ended and not _CONTINUED.match(log[number]):
                break
            number += 1
            if ended:
                break
        lines = tuple(log[start:number])
        found.append(Complaint(kind, words, lines, module_in(lines, modules)))
    return found


def one_for_each_defect(complaints: Sequence[Complaint]) -> list[Complaint]:
    """`complaints` of one step, where those about one and the same have become one, by the words of the first."""
    found: list[Complaint] = []
    for complaint in complaints:
        earlier = next((item for item in found if _is_same(item, complaint)), None)
        if earlier is None:
            found.append(complaint)
        else:
            both = replace(earlier, log=(*earlier.log, *complaint.log), module=earlier.module or complaint.module)
            found[found.index(earlier)] = both
    return found


def _is_same(first: Complaint, later: Complaint) -> bool:
    """Whether `later` is a consequence or a repetition of `first`."""
    if later.kind == "panic":
        return first.kind in ("oops", "bug", "stall")
    cache = _CACHE.search(first.words)
    if first.kind == "leak" and cache and later.kind in ("leak", "warning"):
        # (both functions that find it out say so twice: kmem_cache_destroy, and what it calls)
        return f" {cache[1] or cache[2]}: Slab cache" in later.words or "__kmem_cache_shutdown+" in later.words
    return (first.kind, first.words) == (later.kind, later.words)


def module_in(lines: Sequence[str], modules: Sequence[str]) -> str:
    """The first of `modules` that a trace goes through; "" for none."""
    for line in lines:
        for name in _PLACE.findall(line):
            if name in modules:
                return str(name)
    return ""


def _end_of_report(log: Sequence[str], number: int, kind: str) -> int:
    """Where the report ends whose first line is `number`, if it is one that tells how it ends: with a ruler, or before
    the trace that belongs to it. Else `number`."""
    following = range(number + 1, min(len(log), number + _LONGEST_REPORT))
    if _RULED.match(log[number]):
        return next((place + 1 for place in following if _RULER.match(log[place])), number)
    if kind in _TRACED:
        for place in following:
            if _TRACE.match(log[place]):
                return place
            if _kind_of(log[place])[0] or _CUT.match(log[place]) or _RULER.match(log[place]):
                break
    return number


def _block(log: Sequence[str]) -> tuple[str, ...]:
    """The lines at the beginning of `log` that the kernel has set off, from "cut here" to the end of the trace, if it
    has (lib/bug.c, kernel/panic.c)."""
    if _CUT.match(log[0]):
        for number, line in enumerate(log[1:_LONGEST]):
            if _END.match(line):
                return tuple(log[: number + 2])
    return ()


def _complaint_of(block: Sequence[str], modules: Sequence[str]) -> list[Complaint]:
    """The one complaint of a block: by the line that tells most, which a warning in general does not."""
    kinds = [(kind, words) for kind, words in map(_kind_of, block) if kind]
    told = next((item for item in kinds if item[0] != "warning"), kinds[0] if kinds else None)
    if told is None:
        return []
    kind, words = told
    place = next((number for number, line in enumerate(block) if line.startswith("WARNING: ")), 0)
    # (WARN() says its sentence before the place, WARN_ON() has none)
    sentence = " ".join(line.strip() for line in block[1:place])
    if sentence and words == _kind_of(block[place])[1]:
        words = f"the kernel warned: {sentence} ({block[place].strip()})"
    return [Complaint(kind, words, tuple(block), module_in(block, modules))]


def _kind_of(line: str) -> tuple[str, str]:
    for kind, pattern, words in _KINDS:
        if pattern.search(line):
            return kind, words.format(line.strip())
    return "", ""
