# SPDX-License-Identifier: GPL-2.0-only
"""A machine as a value: its constants, and the functions that the stages of load_module() call."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from typing import NamedTuple

from kbuildpy.elf.headers import Ehdr
from kbuildpy.loader.load_info import LoadInfo
from kbuildpy.loader.machines.facts import MachineFacts
from kbuildpy.loader.memory.pointers import Pointer
from kbuildpy.loader.verdict import Refusal


class TraceSites(NamedTuple):
    """How a machine's ftrace checks the entry points of functions."""

    section: str
    """The section with the addresses of the entry points."""
    is_expected: Callable[[Pointer], bool]
    """Returns whether an address has the instruction that ftrace will overwrite."""
    warning: tuple[str, str] | None = None
    """File and function of the WARN() for an unexpected instruction; None for machines that do not warn."""
    adjusts: bool = False
    """Whether the kernel adds something to every address."""


@dataclass(frozen=True)
class LoaderMachine:
    """The functions of arch/*/kernel/ that load_module() calls. Each may raise `Refusal` or `Undefined`."""

    facts: MachineFacts
    """The machine's constants."""
    apply_relocate_add: Callable[[LoadInfo, int, dict[int, int] | None], None]
    """Applies the relocation section of a number. The last parameter maps offsets to the bytes that other relocation
    sections have written to the same target; None if only one relocation section has this target."""
    module_finalize: Callable[[LoadInfo], None]
    """Patches the code (alternatives, return thunks, ...) and checks the tables of places to patch."""
    trace_sites: Callable[[LoadInfo], TraceSites | None]
    """Returns what ftrace_module_init() checks; None if the kernel checks nothing."""
    module_frob_arch_sections: Callable[[LoadInfo], None] | None = None
    """Changes the section headers before the layout; None if the machine has no such function."""
    elf_check_arch: Callable[[Ehdr], bool] | None = None
    """Returns whether an ELF header of the right class and machine is for this machine; None if there are no other
    conditions."""
    module_elf_check_arch: Callable[[LoadInfo], bool] | None = None
    """Returns whether the module is of the kernel's ABI (from 6.2 on); None if there is only one."""
    nonzero_place: Callable[[LoadInfo, int, int, str, str], Refusal] | None = None
    """Returns the refusal of a relocation whose place is not zero. Parameters: the number of the relocation section,
    the entry, the reason and the hint. None for machines that do not check the place."""
    is_static_call: Callable[[bytes, bool], bool] | None = None
    """Returns whether code is a static call, or a tail call if the second parameter is True; None for machines without
    inline static calls."""


@cache
def machine_named(name: str) -> LoaderMachine:
    """Return the machine `name`, one of `kbuildpy.loader.machines.NAMES`. Only the module of this machine is
    imported."""
    machine: LoaderMachine = import_module(f"kbuildpy.loader.machines.{name}").MACHINE
    return machine


def machine_of(info: LoadInfo) -> LoaderMachine:
    """Return the machine of `info.kernel`."""
    return machine_named(info.machine.name)
