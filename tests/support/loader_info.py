# SPDX-License-Identifier: GPL-2.0-only
"""A module on its way through the loader, from sections written by hand: as far as its symbols have values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from kbuildpy.elf.headers import read_ehdr, read_shdrs
from kbuildpy.loader.kernel import KernelExport, LoaderKernel
from kbuildpy.loader.load_info import LoadInfo
from kbuildpy.loader.loaded import Modules
from kbuildpy.loader.machines.machine import machine_named
from kbuildpy.loader.stages.layout import layout_and_allocate
from kbuildpy.loader.stages.symbols import simplify_symbols
from tests.support.elf_objects import Sec, Sym, elf_object

Version = tuple[int, ...]


class AllBut:
    """A kernel that exports every symbol whose name does not begin with `missing`."""

    def find(self, symbol: str) -> KernelExport | None:
        """What is known of `symbol`."""
        return None if symbol.startswith("missing") else KernelExport("", None, False, "")


def load_info(contents: bytes, kernel: LoaderKernel, args: str = "") -> LoadInfo:
    """The module with these `contents` before the first stage, with no other module loaded."""
    machine = machine_named(kernel.machine).facts
    return LoadInfo(contents, len=len(contents), kernel=kernel, machine=machine, modules=Modules(), args=args)


def sentences(info: LoadInfo) -> list[str]:
    """What the stages say of the checks that they left out."""
    return [item.sentence for item in info.journal.unchecked]


def info_of(
    sections: Sequence[Sec],
    symbols: Sequence[Sym],
    *,
    version: Version = (6, 12),
    machine: str = "x86_64",
    config: Mapping[str, str] | None = None,
) -> LoadInfo:
    """What the loader knows of the module `m` with these sections and symbols when it starts to relocate."""
    facts = machine_named(machine).facts
    contents = elf_object(sections, symbols, machine=facts.e_machine, bits=facts.bits, order=facts.order)
    kernel = LoaderKernel(release="test", version=version, machine=machine, config=config, exports=AllBut())
    info = load_info(contents, kernel)
    info.name = info.mod_name = "m"
    info.hdr = read_ehdr(contents, order=facts.order, is_64bit=facts.is_64bit)
    info.sechdrs = read_shdrs(contents, info.hdr)
    info.index.sym = info.find_any_sec(".symtab")
    info.index.str = info.find_any_sec(".strtab")
    info.index.pcpu = info.find_any_sec(".data..percpu")
    layout_and_allocate(info)
    info.stage = "simplify_symbols"
    simplify_symbols(info)
    return info
