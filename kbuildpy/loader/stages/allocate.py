# SPDX-License-Identifier: GPL-2.0-only
"""Assigns addresses to a module's blocks of memory (kernel/module/main.c: move_module; mm/execmem.c: execmem_alloc).

The addresses are examples: the blocks follow each other in the machine's address range for modules.
"""

from __future__ import annotations

from array import array
from collections.abc import Mapping
from itertools import accumulate

from kbuildpy.loader import since
from kbuildpy.loader.hints import AS_BUILT
from kbuildpy.loader.load_info import LoadInfo, MemoryLayout
from kbuildpy.loader.stages.blocks import Blocks, page_align
from kbuildpy.loader.verdict import Placed, Undefined


def allocate(info: LoadInfo, blocks: Blocks) -> MemoryLayout:
    """Set `sh_addr` of each section, and return the layout.

    Raises `Refusal` (ENOMEM) for a module that is larger than the machine's address range for modules. Raises
    `Undefined` for sizes that overflow, and for a struct module outside of the data block.
    """
    if blocks.by_type:
        blocks.sizes.update({kind: page_align(size, info.page_size) for kind, size in blocks.sizes.items()})
    if blocks.has_overflowed:
        raise Undefined(
            info.stage,
            "its sections together are larger than the kernel can count",
            "look for the large one: size -A FILE; allocate large memory at run time instead (vmalloc())",
        )
    if sum(blocks.sizes.values()) > info.machine.modules_size:
        line = "execmem: unable to allocate memory" if info.kernel.version >= since.EXECMEM else None
        if line and shares_pages(info, _first_without_room(blocks.sizes, info.machine.modules_size)):
            # The kernel tries large pages first, and logs the line for them as well.
            info.log(line)
        raise info.refuse(
            "ENOMEM",
            line,
            "it is larger than the kernel's address range for modules",
            "look for the large one: size -A FILE; allocate large memory at run time instead (vmalloc())",
        )
    if blocks.by_type and blocks.kind_of.get(info.index.mod, "data") != "data":
        # free_mod_mem frees the data block last, because it expects struct module there.
        raise Undefined(info.stage, "its struct module is not in its data, which the kernel frees last", AS_BUILT)
    # The numbers are sorted to have the order of `_placed`.
    numbers = array("I", sorted(blocks.kind_of))
    if info.index.pcpu:
        numbers.append(info.index.pcpu)
    return MemoryLayout(blocks.sizes, _placed(info, blocks), numbers)


def _placed(info: LoadInfo, blocks: Blocks) -> tuple[Placed, ...]:
    """Set `sh_addr` of each section; the sections that are kept in memory."""
    bases = _bases(info, blocks.sizes)
    placed: list[Placed] = []
    for number, section in enumerate(info.sechdrs):
        if number in blocks.kind_of:
            kind = blocks.kind_of[number]
            section.sh_addr = bases[kind] + section.sh_entsize
            try:
                name = info.section_name(number)
            except Undefined:
                # The verdict shows the sections before this one.
                info.layout = MemoryLayout(blocks.sizes, tuple(placed))
                raise
            placed.append(Placed(name, kind, section.sh_entsize, section.sh_size))
        elif number:
            section.sh_addr = info.machine.copy_address + section.sh_offset
    if info.index.pcpu:
        placed.append(Placed(".data..percpu", "percpu", 0, info.sechdrs[info.index.pcpu].sh_size))
    return tuple(placed)


def _bases(info: LoadInfo, sizes: Mapping[str, int]) -> dict[str, int]:
    """The address of each block. The blocks follow each other with a page between them. Blocks in shared large pages
    come last, from the next large page on, without a page between them."""
    together = [kind for kind in sizes if shares_pages(info, kind)]
    address, page = info.machine.modules_start, info.page_size
    bases = {}
    for kind in [*(kind for kind in sizes if kind not in together), *together]:
        if together and kind == together[0]:
            address = -(-address // info.machine.large_page) * info.machine.large_page
        bases[kind] = address
        address += page_align(sizes[kind], page) + (0 if kind in together else page)
    return bases


def shares_pages(info: LoadInfo, kind: str) -> bool:
    """Whether the kernel allocates this block from large pages that the code of several modules shares."""
    large = info.kernel.version >= since.EXECMEM_ROX and info.kernel.has("ARCH_HAS_EXECMEM_ROX")
    return bool(large) and kind in ("text", "init_text")


def _first_without_room(sizes: Mapping[str, int], room: int) -> str:
    ends = zip(sizes, accumulate(sizes.values()), strict=True)
    return next(kind for kind, end in ends if end > room)
