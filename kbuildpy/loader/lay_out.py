# SPDX-License-Identifier: GPL-2.0-only
"""The first stages of load_module() by themselves: a module taken apart, and laid out in memory, as a kernel would.

What refuses a module for another reason (its versions, its signature, a symbol that nobody exports) is left out, so the
layout is known of modules that this kernel would not load, too.
"""

from __future__ import annotations

from kbuildpy.loader.kernel import LoaderKernel
from kbuildpy.loader.load_info import LoadInfo
from kbuildpy.loader.load_module import NO_MODULES, rewrite_section_headers
from kbuildpy.loader.machines.machine import machine_named
from kbuildpy.loader.stages.elf_validity import elf_validity
from kbuildpy.loader.stages.layout import layout_and_allocate
from kbuildpy.loader.stages.modinfo import check_livepatch
from kbuildpy.signing.refused import Refused
from kbuildpy.signing.trailer import split_signature


def take_apart(contents: bytes, kernel: LoaderKernel) -> LoadInfo:
    """The module in `contents`, its headers read and found sound by `kernel`, whose machine has to be one of
    `machines.NAMES`. Pointers to symbols of others are known by name (`memory.data.Memory`).

    Raises `Refusal` and `Undefined`, as the stages do.
    """
    info = LoadInfo(contents, kernel=kernel, machine=machine_named(kernel.machine).facts, modules=NO_MODULES)
    try:
        taken = split_signature(contents)
    except Refused:
        taken = None
    info.len = len(contents) if taken is None else len(taken.contents)
    elf_validity(info)
    info.values = [None] * len(info.symbols)
    return info


def lay_out(info: LoadInfo) -> None:
    """Place the sections of a module that was taken apart: `info.layout`. Raises `Refusal` and `Undefined`."""
    info.stage = "rewrite_section_headers"
    rewrite_section_headers(info)
    info.stage = "check_modinfo"
    check_livepatch(info)
    layout_and_allocate(info)
