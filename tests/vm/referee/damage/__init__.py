# SPDX-License-Identifier: GPL-2.0-only
"""Named damages: every check of the loader's at least once, a file for each of its stages."""

from __future__ import annotations

from dataclasses import replace

from tests.vm.referee.cases import Bases, Case
from tests.vm.referee.damage import (
    btf,
    btf_types,
    coming,
    decompress,
    elf_validity,
    finalize,
    layout,
    modinfo,
    parameters,
    relocate,
    sections,
    signature,
    symbols,
    tables,
    versions,
)

STAGES = (
    decompress,
    signature,
    elf_validity,
    sections,
    modinfo,
    versions,
    layout,
    symbols,
    relocate,
    finalize,
    tables,
    coming,
    parameters,
    btf,
    btf_types,
)


def second_damages(bases: Bases) -> list[Case]:
    """What needs a boot of its own: who is the first to be proprietary, a bug of ftrace's, and a kernel that insists on
    signatures."""
    first = [modinfo.first_offender(bases.quiet), coming.function_listed_twice(bases.still)]
    return [*first, *(replace(case, enforced=True) for case in signature.cases(bases))]


def damages(bases: Bases) -> list[Case]:
    """All of them for one kernel, in the order of the loader's stages."""
    found = [case for stage in STAGES for case in stage.cases(bases)]
    names = [case.name for case in found]
    assert len(set(names)) == len(names), sorted(name for name in names if names.count(name) > 1)
    return found
