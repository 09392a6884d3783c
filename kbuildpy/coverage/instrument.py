# SPDX-License-Identifier: GPL-2.0-only
"""A plan whose modules are instrumented.

The compiler gets its options where it compiles an object of a module, and nowhere else: a `.mod.c` has nothing to
count. The object of a module is linked once more, between two objects of ours, and with its calls of allocators handed
over (`ld --wrap`); modpost and the final link then work as for any other.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from kbuildpy.kbuild.plan import BuildStep, ModulePlan, ObjectPlan, Plan
from kbuildpy.kbuild.rules import COMPILE_RULES

OPTIONS = (
    "-fprofile-arcs",
    "-ftest-coverage",
    "-fprofile-info-section=.gcov_info",
    "-fprofile-update=prefer-atomic",
    "-fno-early-inlining",
    "-fno-optimize-sibling-calls",
    "-fdisable-tree-early_optimizations",
)
"""GCC's options: counters for each arc, a note of them beside the object, their description in a section, and counters
that several processors may count at the same time. And what is counted is what was written: functions before they are
inlined, calls that return to where they were made, lines before they are optimized away."""
_QUIET = ("-Wno-maybe-uninitialized", "-Wno-missing-profile")
"""Counters between the statements make GCC see paths that there are not (as the kernel's own CFLAGS_GCOV says)."""
_OF_ARCHITECTURE = {"arm64": ("-mno-outline-atomics",)}
"""By SRCARCH: GCC would call functions of its own library to count."""
_BEFORE_OUTPUT = " -c -o "
# (up to 5.18 with a word for what it is to do)
_OBJTOOL = re.compile(r"(?<!\S)\S*tools/objtool/objtool(?: check| orc generate)?(?= -| \S+\.o)")
RULE = "kbuildpy_instrument"
"""The name of the step that links the object of a module once more."""


class Tools(NamedTuple):
    """What the objects of modules are linked with once more."""

    linker: str
    """The tree's command (LD)."""
    begin: Path
    """Our object before a module's."""
    end: Path
    """Our object behind it."""
    wrapped: tuple[str, ...]
    """The functions whose calls are handed over."""
    srcarch: str
    """The architecture, as the kernel tree's folder of it is called."""


def instrumented(plan: Plan, tools: Tools) -> Plan:
    """`plan` with instrumented modules. An object that comes with the sources stays as it is."""
    single = {module.target for module in plan.modules if not module.parts}
    return replace(
        plan,
        objects=tuple(_object(item, tools, links=item.target in single) for item in plan.objects),
        modules=tuple(_module(module, tools) for module in plan.modules),
    )


def _object(item: ObjectPlan, tools: Tools, *, links: bool) -> ObjectPlan:
    steps = tuple(_checked(_counted(step, tools.srcarch) if step.rule == "cc_o_c" else step) for step in item.steps)
    compiled = any(step.rule in COMPILE_RULES for step in steps)
    return replace(item, steps=(*steps, _linked(item.target, tools)) if links and compiled else steps)


def _module(module: ModulePlan, tools: Tools) -> ModulePlan:
    steps = (*map(_checked, module.steps), _linked(module.target, tools))
    return replace(module, steps=steps) if module.parts else module


def _counted(step: BuildStep, srcarch: str) -> BuildStep:
    options = " ".join((*OPTIONS, *_OF_ARCHITECTURE.get(srcarch, ()), *_QUIET))
    return replace(step, command=step.command.replace(_BEFORE_OUTPUT, f" {options}{_BEFORE_OUTPUT}", 1))


def _checked(step: BuildStep) -> BuildStep:
    """As Kbuild calls objtool for a kernel that is instrumented: counters stand behind calls that do not return."""
    return replace(step, command=_OBJTOOL.sub(lambda match: f"{match[0]} --no-unreachable", step.command))


def _linked(target: str, tools: Tools) -> BuildStep:
    folder, _, base = target.rpartition("/")
    # (a name that `Layout.relocate` knows as one of the object's)
    beside = f"{folder}/.tmp_{base}" if folder else f".tmp_{base}"
    wraps: Sequence[str] = [f"--wrap={name}" for name in tools.wrapped]
    link = [*shlex.split(tools.linker), "-r", *wraps, "-o", beside, str(tools.begin), target, str(tools.end)]
    return BuildStep(RULE, "", f"{shlex.join(link)}; {shlex.join(['mv', beside, target])}")
