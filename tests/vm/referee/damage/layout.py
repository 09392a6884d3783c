# SPDX-License-Identifier: GPL-2.0-only
"""What the loader cannot place: sizes, alignments, per-cpu data; and sections that it looks for once all are placed."""

from __future__ import annotations

from collections.abc import Iterator

from kbuildpy.elf.constants import SHT_NOBITS, SHT_NOTE
from tests.vm.referee.cases import Bases, Case
from tests.vm.referee.damage.ways import (
    SHF_ALLOC,
    SHF_EXECINSTR,
    SHF_WRITE,
    Damage,
    called,
    case,
    contents,
    rename,
    resized,
    section,
    shdr,
)

DATA = SHF_ALLOC | SHF_WRITE


def cases(bases: Bases) -> Iterator[Case]:
    """All of them."""
    yield from _alignment(bases.quiet)
    yield from _size(bases.quiet)
    yield from _kinds(bases.quiet)
    yield from _percpu(bases)
    yield from _special(bases)


def _alignment(quiet: bytes) -> Iterator[Case]:
    for align in (0, 1, 3, 24, 4096, 8192, 1 << 16):
        yield case(f"layout/.data aligned to {align}", quiet, shdr(".data", sh_addralign=align))
    for align in (3, 64, 8192):
        yield case(f"layout/.text aligned to {align}", quiet, shdr(".text", sh_addralign=align))
    yield case("layout/.comment aligned to a terabyte", quiet, shdr(".comment", sh_addralign=1 << 40))


def _size(quiet: bytes) -> Iterator[Case]:
    for size in (1, 4096, 4097, 1 << 20):
        yield case(f"layout/.bss of {size} bytes", quiet, shdr(".bss", sh_size=size))
    # more than there is room for modules, and more than there is memory
    yield case("layout/.bss of 2 GiB", quiet, shdr(".bss", sh_size=(1 << 31) - 4096))
    yield case("layout/.bss of 3 GiB", quiet, shdr(".bss", sh_size=3 << 30))
    yield case("layout/.bss of nearly 4 GiB", quiet, shdr(".bss", sh_size=(1 << 32) - 1))
    code: Damage = section(".big", sh_type=SHT_NOBITS, sh_size=3 << 30, sh_flags=SHF_ALLOC | SHF_EXECINSTR)
    yield case("layout/code of 3 GiB", quiet, code)
    starting: Damage = section(".init.big", sh_type=SHT_NOBITS, sh_size=3 << 30, sh_flags=DATA)
    yield case("layout/.init of 3 GiB", quiet, starting)
    yield case("layout/many empty sections", quiet, *(section(f".empty{n}", sh_flags=DATA) for n in range(100)))


def _kinds(quiet: bytes) -> Iterator[Case]:
    kinds = {"read": SHF_ALLOC, "write": DATA, "execute": SHF_ALLOC | SHF_EXECINSTR}
    for kind, flags in kinds.items():
        for prefix in ("", ".init", ".exit", ".initial"):
            name = f"{prefix}.more"
            added = section(name, bytes(5000), sh_flags=flags, sh_addralign=16)
            yield case(f"layout/{name} to {kind}", quiet, added)
    yield case("layout/.data..ro_after_init", quiet, section(".data..ro_after_init", bytes(5000), sh_flags=DATA))
    yield case("layout/.init.ro_after_init", quiet, section(".init.ro", bytes(9), sh_flags=DATA | 0x00200000))
    twice = section(".data", bytes(8), sh_flags=DATA)
    yield case("layout/two sections of one name", quiet, shdr(".data", sh_size=0), twice, twice)
    yield case("layout/two sections of one name, one is empty", quiet, section(".text", sh_flags=DATA))
    yield case("layout/two sections without a name", quiet, *(section("", bytes(8), sh_flags=DATA) for _ in range(2)))
    yield case("layout/a section without a name", quiet, section("", bytes(8), sh_flags=DATA))
    yield case("layout/a section with a slash", quiet, section("a/b", bytes(8), sh_flags=DATA))
    yield case("layout/a note", quiet, section(".note.more", bytes(24), sh_flags=SHF_ALLOC, sh_type=SHT_NOTE))
    yield case("layout/text in a group", quiet, shdr(".text", sh_flags=SHF_ALLOC | SHF_EXECINSTR | 0x200))
    yield case("layout/merged strings", quiet, section(".str", b"abc\0", sh_flags=SHF_ALLOC | 0x30, sh_entsize=1))
    yield case("layout/in the small data of other machines", quiet, section(".s", bytes(9), sh_flags=DATA | 0x10000000))


def _percpu(bases: Bases) -> Iterator[Case]:
    name = ".data..percpu"
    for align in (1, 64, 4096):
        yield case(f"percpu/aligned to {align}", bases.still, shdr(name, sh_addralign=align))
    for align in (3, 24, 4095):
        yield case(f"percpu/aligned to {align}, which cannot be", bases.still, shdr(name, sh_addralign=align))
    yield case("percpu/aligned to more than a page", bases.still, shdr(name, sh_addralign=8192))
    yield case("percpu/too large", bases.still, shdr(name, sh_type=SHT_NOBITS, sh_size=20000))
    yield case("percpu/much too large", bases.still, shdr(name, sh_type=SHT_NOBITS, sh_size=1 << 20))
    yield case("percpu/empty", bases.quiet, section(name, sh_flags=DATA))
    yield case("percpu/of a module that is there already", bases.still, needs=(bases.still,))


def _special(bases: Bases) -> Iterator[Case]:
    quiet = bases.quiet
    yield case("special/obsolete parameters", quiet, section("__obsparm", bytes(64), sh_flags=SHF_ALLOC))
    yield case("special/obsolete parameters, not allocated", quiet, section("__obsparm", bytes(64)))
    both = (section(".ctors", sh_flags=DATA), section(".init_array", sh_flags=DATA))
    yield case("special/constructors of two kinds", quiet, *both)
    yield case("special/constructors", quiet, both[0])
    yield case("special/an empty table of parameters", quiet, shdr("__param", sh_size=0))
    yield case("special/half a parameter", quiet, resized("__param", -20))
    yield case("special/no parameters", quiet, rename("__param", "__params"))
    for name in ("__bug_table", "__jump_table", "__ex_table", ".static_call_sites", "__tracepoints_ptrs", "__dyndbg"):
        yield case(f"special/{name} is empty", quiet, section(name, sh_flags=DATA))
        if not bases.rich_has(name):
            continue
        yield case(f"special/{name} is not found", bases.still, rename(name, "__none"))
        yield case(f"special/{name} is not allocated", bases.still, shdr(name, sh_flags=0))
    locks = (".smp_locks",) if bases.has_smp_locks else ()
    for name in ("___srcu_struct_ptrs", "__mcount_loc", ".orc_unwind", ".orc_unwind_ip", *locks):
        if bases.rich_has(name):
            yield case(f"special/{name} is not found", bases.still, rename(name, "__none"))
    yield case("special/nothing is renamed", bases.still, called("still"))
    yield case("special/an empty .BTF", quiet, rename(".BTF", ".noBTF") if bases.has_btf else contents(".comment", b""))
