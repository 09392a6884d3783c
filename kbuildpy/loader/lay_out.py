# SPDX-License-Identifier: GPL-2.0-only
"""Runs only those stages of load_module() that read the ELF headers and lay out the sections in memory.

The other checks (CRCs, signature, unresolved symbols) are left out, so that the layout of a module that this kernel
would refuse is known, too.
"""

from __future__ import annotations

from kbuildpy.loader.kernel import LoaderKernel
from kbuildpy.loader.load_info import LoadInfo
from kbuildpy.loader.load_module import NO_MODULES, begin, rewrite_section_headers
from kbuildpy.loader.stages.elf_validity import elf_validity
from kbuildpy.loader.stages.layout import layout_and_allocate
from kbuildpy.loader.stages.modinfo import check_livepatch
from kbuildpy.signing.refused import Refused
from kbuildpy.signing.trailer import split_signature


def take_apart(contents: bytes, kernel: LoaderKernel) -> LoadInfo:
    """Return the module `contents` with its ELF headers read and checked as by `kernel`.

    The machine of `kernel` must be one of `machines.NAMES`. Symbols are not resolved: all `values` are None, and
    `memory.data.Memory` gives a pointer to an undefined symbol by name. Raises `Refusal` or `Undefined` as
    `elf_validity`.
    """
    info = begin(contents, kernel, NO_MODULES, "")
    try:
        taken = split_signature(contents)
    except Refused:
        taken = None
    info.len = len(contents) if taken is None else len(taken.contents)
    elf_validity(info)
    info.values = [None] * len(info.symbols)
    return info


def lay_out(info: LoadInfo) -> None:
    """Set `info.layout` of a module from `take_apart`. Raises `Refusal` or `Undefined`."""
    info.stage = "rewrite_section_headers"
    rewrite_section_headers(info)
    info.stage = "check_modinfo"
    check_livepatch(info)
    layout_and_allocate(info)
