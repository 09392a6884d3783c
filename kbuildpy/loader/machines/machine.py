# SPDX-License-Identifier: GPL-2.0-only
"""A machine as a value: its facts, and its functions that the stages of load_module() call."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from typing import NamedTuple

from kbuildpy.loader.load_info import LoadInfo
from kbuildpy.loader.machines.facts import MachineFacts
from kbuildpy.loader.memory.pointers import Pointer
from kbuildpy.loader.verdict import Refusal


class TraceSites(NamedTuple):
    """How a machine's ftrace checks the places where functions begin."""

    section: str
    """The section with their addresses."""
    is_expected: Callable[[Pointer], bool]
    """Whether the code at an address is what ftrace will overwrite."""
    warning: tuple[str, str] | None = None
    """File and function of the WARN() of machines that check the code once more; None for those that do not."""


@dataclass(frozen=True)
class LoaderMachine:
    """The functions of arch/*/kernel/ that load_module() calls. Each may raise `Refusal` or `Undefined`."""

    facts: MachineFacts
    """The machine's numbers."""
    apply_relocate_add: Callable[[LoadInfo, int, dict[int, int] | None], None]
    """Applies a SHT_RELA section, by its number. The last parameter has the bytes, by offset, that other sections have
    written to the same target; None for the only section of its target."""
    module_finalize: Callable[[LoadInfo], None]
    """Patches the code: alternatives, returns, and so on."""
    trace_sites: Callable[[LoadInfo], TraceSites | None]
    """What ftrace_module_init() checks; None where the kernel checks nothing."""
    module_frob_arch_sections: Callable[[LoadInfo], None] | None = None
    """Changes the section headers before the layout; None where the machine has no such function."""
    nonzero_place: Callable[[LoadInfo, int, int, str, str], Refusal] | None = None
    """The refusal of a relocation (section, entry; reason and hint for people) whose place is not zero; None for
    machines that do not look."""
    is_static_call: Callable[[bytes, bool], bool] | None = None
    """Whether these bytes are a static call (True: a tail call); None for machines without inline static calls."""


@cache
def machine_named(name: str) -> LoaderMachine:
    """The machine called `name`, one of `kbuildpy.loader.machines.NAMES`. (A check needs one of them, and imports
    no other.)"""
    machine: LoaderMachine = import_module(f"kbuildpy.loader.machines.{name}").MACHINE
    return machine


def machine_of(info: LoadInfo) -> LoaderMachine:
    """The machine of the kernel that `info` is for."""
    return machine_named(info.machine.name)
