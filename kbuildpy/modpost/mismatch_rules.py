# SPDX-License-Identifier: GPL-2.0-only
"""The rules for references between sections (scripts/mod/modpost.c: sectioncheck, secref_whitelist).

`section_rules` composes the rules of one kernel. They became fewer over time, when the kernel dropped `__devinit`,
`__cpuinit`, `__memexit` and `__meminit`. Patterns of names are those of fnmatch(3).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from fnmatch import translate
from functools import lru_cache

from kbuildpy.kernel.release import Version, has_change
from kbuildpy.modpost import since

TEXT_TO_INIT = "TEXT_TO_ANY_INIT"
DATA_TO_INIT = "DATA_TO_ANY_INIT"
TEXT_TO_EXIT = "TEXT_TO_ANY_EXIT"
DATA_TO_EXIT = "DATA_TO_ANY_EXIT"
MEMINIT_TO_INIT = "XXXINIT_TO_SOME_INIT"
MEMEXIT_TO_EXIT = "XXXEXIT_TO_SOME_EXIT"
INIT_TO_EXIT = "ANY_INIT_TO_ANY_EXIT"
EXIT_TO_INIT = "ANY_EXIT_TO_ANY_INIT"
EXPORT_TO_INIT_EXIT = "EXPORT_TO_INIT_EXIT"
EXTABLE_TO_NON_TEXT = "EXTABLE_TO_NON_TEXT"

Patterns = tuple[str, ...]


@dataclass(frozen=True)
class SectionCheck:
    """One row of modpost's table of mismatches."""

    mismatch: str
    """The kind of mismatch, by modpost's name for it."""
    fromsec: Patterns
    """The sections that refer."""
    bad_tosec: Patterns
    """The sections that they must not refer to."""
    good_tosec: Patterns = ()
    """If not empty, the only sections that they may refer to."""
    names: Patterns = ()
    """The names of variables that may refer to init and exit sections; before 6.0, where messages list them too."""


@dataclass(frozen=True)
class NameExcuse:
    """An exception: some variables in data sections may refer to some sections."""

    names: Patterns
    """The names of the variables."""
    tosec: Patterns
    """The sections that they may refer to."""
    quiet_only: bool = False
    """The exception does not apply with -W (extra warnings)."""


@dataclass(frozen=True)
class SectionRules:
    """The rules of one kernel, and the sections that its exceptions name."""

    checks: tuple[SectionCheck, ...]
    """The mismatches, in modpost's order: the first that applies is reported."""
    excuses: tuple[NameExcuse, ...]
    """The exceptions by names of variables, from 6.0 on."""
    init: Patterns
    """The init sections."""
    exit: Patterns
    """The exit sections."""
    init_data: Patterns
    """The init sections with data."""
    text: Patterns
    """The sections with code."""
    local_labels: bool
    """References from symbols `.L*` are ignored (before 6.5)."""


@lru_cache(maxsize=256)
def _compiled(patterns: Patterns) -> re.Pattern[str]:
    return re.compile("|".join(translate(pattern) for pattern in patterns) or r"(?!)")


def match(name: str, patterns: Patterns) -> bool:
    """Whether `name` matches one of `patterns` (modpost.c: match)."""
    return _compiled(patterns).match(name) is not None


def compile_patterns(rules: SectionRules, *others: Patterns) -> None:
    """Have `match` find the patterns of `rules`, and `others`, compiled."""
    for check in rules.checks:
        for patterns in (check.fromsec, check.bad_tosec, check.good_tosec):
            _compiled(patterns)
    for patterns in (*others, rules.init, rules.exit, rules.init_data, rules.text):
        _compiled(patterns)


@lru_cache(maxsize=8)
def section_rules(version: Version, *, meminit: bool, memexit: bool) -> SectionRules:
    """The rules of kernel `version`; `meminit` and `memexit` say whether its headers have `.meminit.*` and `.memexit.*`
    sections."""
    text: Patterns = TEXT if has_change(version, since.TEXT_SECTIONS) else OLD_TEXT
    if has_change(version, since.LARGE_TEXT):
        text += LARGE_TEXT
    explains = version < since.SHORT_MISMATCHES
    mem_init = (".meminit.*",) if meminit else ()
    mem_exit = (".memexit.*",) if memexit else ()
    init, exit = (*INIT, *mem_init), (*EXIT, *mem_exit)
    any_text = (
        ".init.text",
        *((".meminit.text",) if meminit else ()),
        ".exit.text",
        *((".memexit.text",) if memexit else ()),
        *text,
        *OTHER_TEXT,
        *((".softirqentry.text",) if version >= since.SOFTIRQENTRY_TEXT else ()),
        *((".irqentry.text",) if has_change(version, since.IRQENTRY_TEXT) else ()),
        *(() if has_change(version, since.TEXT_SECTIONS) else (".text.*",)),
    )
    names = OLD_NAMES if explains else ()
    no_driver = tuple(name for name in names if name != "*driver")
    checks = [
        SectionCheck(TEXT_TO_INIT, text, init, names=names),
        SectionCheck(DATA_TO_INIT, DATA, mem_init, names=names),
        SectionCheck(DATA_TO_INIT, DATA, INIT, names=no_driver),
        SectionCheck(TEXT_TO_EXIT, text, exit, names=names),
        SectionCheck(DATA_TO_EXIT, DATA, exit, names=names),
        SectionCheck(MEMINIT_TO_INIT, mem_init, INIT, names=names),
        SectionCheck(MEMEXIT_TO_EXIT, mem_exit, EXIT, names=names),
        SectionCheck(INIT_TO_EXIT, init, exit, names=names),
        SectionCheck(EXIT_TO_INIT, exit, init, names=names),
        SectionCheck(INIT_TO_EXIT, PCI_FIXUPS, INIT),
    ]
    if version < since.LOCATED_MISMATCHES:
        # from 6.5 on check_export_symbol reports exports of init and exit symbols
        checks.append(SectionCheck(EXPORT_TO_INIT_EXIT, ("___ksymtab*",), (*INIT, *EXIT), names=names))
    checks.append(SectionCheck(EXTABLE_TO_NON_TEXT, ("__ex_table",), (".altinstr_replacement",), any_text))
    return SectionRules(
        tuple(check for check in checks if check.fromsec and check.bad_tosec),
        _excuses(version, init, exit, mem_init),
        init,
        exit,
        (".init.setup", ".init.rodata", ".init.data", *((".meminit.rodata", ".meminit.data") if meminit else ())),
        any_text,
        version < since.LOCATED_MISMATCHES,
    )


def _excuses(version: Version, init: Patterns, exit: Patterns, mem_init: Patterns) -> tuple[NameExcuse, ...]:
    if version < since.SHORT_MISMATCHES:
        return ()
    quiet_only = has_change(version, since.DRIVERS_EXCUSED)
    drivers = NameExcuse(DRIVERS, EXIT if quiet_only else exit, quiet_only=quiet_only)
    if version < since.FEWER_NAMES:
        mem_exit = tuple(section for section in exit if section not in EXIT)
        return (
            NameExcuse(OLD_NAMES[1:], (*init, *exit)),
            NameExcuse(DRIVERS, (*mem_init, *mem_exit)),
            drivers,
        )
    probe = ("*_probe",) if version < since.PROBES_CHECKED else ()
    llvm = ("*_ops.llvm.*",) if version >= since.LLVM_OPS else ()
    names = NameExcuse(("*_ops", *llvm, *probe, "*_console"), (*init, *exit))
    return (names, drivers) if version < since.DRIVERS_EXCUSED_UNTIL else (names,)


INIT = (".init.*",)
EXIT = (".exit.*",)
DATA = (".data", ".data.rel")
OLD_TEXT = (".text", ".text.unlikely", ".sched.text", ".kprobes.text", ".cpuidle.text", ".noinstr.text")
TEXT = (".text", ".text.*", ".sched.text", ".kprobes.text", ".cpuidle.text", ".noinstr.text")
LARGE_TEXT = (".ltext", ".ltext.*")
DRIVERS = ("*driver",)
OTHER_TEXT = (".ref.text", ".head.text", ".spinlock.text", ".fixup", ".entry.text", ".exception.text", ".coldtext")
PCI_FIXUPS = tuple(
    f".pci_fixup_{when}" for when in ("early", "header", "final", "enable", "resume", "resume_early", "suspend")
)
OLD_NAMES = ("*driver", "*_template", "*_timer", "*_sht", "*_ops", "*_probe", "*_probe_one", "*_console")
LINKER_NAMES = ("__init_begin", "_sinittext", "_einittext")
