# SPDX-License-Identifier: GPL-2.0-only
"""The constants of a machine that the stages need: addresses, sizes and relocation types, without functions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal, NamedTuple

from kbuildpy.elf.constants import SHT_REL, SHT_RELA


class RelocationKinds(NamedTuple):
    """The machine's relocation types (`kbuildpy.elf.relocation_types`), by the value that they write."""

    absolute: frozenset[int]
    """Types that write an address."""
    relative: frozenset[int]
    """Types that write a distance of 32 bits, including the types of calls where the machine encodes these so."""
    relative64: frozenset[int]
    """Types that write a distance of 64 bits."""
    applied: frozenset[int]
    """All types that the kernel applies."""
    differences: Mapping[int, int] = MappingProxyType({})
    """For the types of `relative` and `relative64` that write an address: the type that subtracts another one from it,
    by a second relocation of the same place."""

    @property
    def of_8_bytes(self) -> frozenset[int]:
        """The types that write eight bytes."""
        return self.absolute | self.relative64


@dataclass(frozen=True)
class MachineFacts:
    """The constants that all kernels of one machine share."""

    name: str
    """The name, as in `LoaderKernel.machine` and `str(kernel.architecture.Architecture)`."""
    e_machine: int
    """The machine number in the ELF header."""
    relocations: RelocationKinds
    """The relocation types, by the value that they write."""
    modules_start: int
    """An address where the kernel puts modules."""
    modules_size: int
    """MODULES_LEN: bytes of the address range for modules; no module can be larger."""
    copy_address: int
    """An address where the kernel may put its copy of the module file."""
    large_page: int
    """PMD_SIZE, to which code in large pages is aligned (CONFIG_ARCH_HAS_EXECMEM_ROX)."""
    other_numbers: frozenset[int] = frozenset()
    """Other machine numbers that count as this machine."""
    checks_class: bool = False
    """Whether a file whose class (EI_CLASS) is another one counts as one for another machine (elf_check_arch)."""
    bits: int = 64
    """The width of an address, and of the class of its ELF files."""
    order: str = "<"
    """The byte order, as `struct` spells it."""
    rela: bool = True
    """Whether relocations are in sections of type SHT_RELA. If not, they are in those of SHT_REL, and their addends are
    where they write to (CONFIG_MODULES_USE_ELF_RELA, CONFIG_MODULES_USE_ELF_REL)."""
    page_size: int = 4096
    """PAGE_SIZE in bytes, unless an option of `page_sizes` is set."""
    page_sizes: tuple[tuple[str, int], ...] = ()
    """Options of the configuration, without `CONFIG_`, and PAGE_SIZE in bytes with each."""
    init_prefixes: tuple[str, ...] = (".init",)
    """What the names of sections begin with that are freed after init (module_init_section)."""
    exit_prefixes: tuple[str, ...] = (".exit",)
    """What the names of sections begin with that only the removal needs (module_exit_section)."""
    warns_with_trap: bool = True
    """Whether WARN() is a trap, so that its message is logged before its place; if not, it is logged after."""
    has_percpu_reserve: bool = True
    """Whether the per-CPU variables of all modules share a reserve; if not, they are among the kernel's own."""
    is_whole: bool = True
    """Whether all of the machine's part of the loader is known; if not, `partly` says what is left out."""
    undefined_ok: frozenset[str] = field(default=frozenset())
    """Undefined symbols that nothing needs to export (kernel/module/main.c: ignore_undef_symbol)."""

    @property
    def is_64bit(self) -> bool:
        """Whether its ELF files are of ELFCLASS64."""
        return self.bits == 64

    @property
    def word(self) -> int:
        """Bytes of an address and of a long."""
        return self.bits // 8

    @property
    def mask(self) -> int:
        """The largest unsigned long."""
        return (1 << self.bits) - 1

    @property
    def byteorder(self) -> Literal["little", "big"]:
        """The byte order, as `int.from_bytes` spells it."""
        return "little" if self.order == "<" else "big"

    @property
    def relocation_section(self) -> int:
        """The type of the sections with relocations."""
        return SHT_RELA if self.rela else SHT_REL
