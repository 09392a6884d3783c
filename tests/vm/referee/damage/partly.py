# SPDX-License-Identifier: GPL-2.0-only
"""What i386, arm and powerpc refuse in their own part of the loader (arch/*/kernel/module*.c), as far as known."""

from __future__ import annotations

from collections.abc import Iterator

from kbuildpy.elf.constants import EM_386, EM_ARM, EM_PPC64
from tests.vm.referee.cases import Bases, Case
from tests.vm.referee.damage.ways import Damage, case, ehdr, new_relocation, new_symbol, rename, section, shdr
from tests.vm.referee.draft import Draft

ROOM = 0x40
ARM_ABS32 = 2


def cases(bases: Bases) -> Iterator[Case]:
    """Those of the machine that the modules are for."""
    quiet = bases.quiet
    draft = Draft(quiet)
    machine = draft.ehdr("e_machine")
    for name in (".plt", ".init.plt", ".stubs"):
        if any(draft.name_of(item) == name for item in draft.sections):
            yield case(f"own/no {name}", quiet, rename(name, ".gone"))
            yield case(f"own/{name} is large", quiet, shdr(name, sh_size=1 << 20))
    if machine == EM_386:
        yield case("own/the number of a 486", quiet, ehdr("e_machine", 6))
        for kind in range(45):
            yield case(f"own/type {kind}", quiet, *_room(new_relocation(".room", 8, kind, "kfree")))
    if machine == EM_ARM:
        for offset in (ROOM - 4, ROOM - 3, ROOM, 0xFFFFFFFF):
            place = new_relocation(".room", offset, ARM_ABS32, "kfree")
            yield case(f"own/a relocation at {offset:#x} of {ROOM:#x}", quiet, *_room(place))
        for number in (len(draft.symbols()) + 1, 0xFFFFFF):
            symbol = new_relocation(".room", 0, ARM_ABS32, number)
            yield case(f"own/a relocation by symbol {number}", quiet, *_room(symbol))
    if machine == EM_PPC64:
        for name in (".TOC.", ".kfree", ".nobody_has_it", "..kfree"):
            yield case(f"own/an undefined {name}", quiet, new_symbol(name))
        for flags in (0, 1, 3):
            yield case(f"own/version {flags} of the ABI", quiet, ehdr("e_flags", flags))


def _room(*more: Damage) -> tuple[Damage, ...]:
    """Data to be relocated, which nobody reads, and `more` to do."""
    return (section(".room", bytes(ROOM), sh_flags=3, sh_addralign=16), *more)
