"""One module on its way through the stages: `struct load_info` of kernel/module/internal.h, and what the stages found.

Section headers are copies that the stages write to, as the kernel's do: `sh_flags` loses SHF_ALLOC where a section is
not kept, `sh_entsize` becomes the place in memory, and `sh_addr` the address that the section would have.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from kbuildpy.elf.constants import SHF_ALLOC, SHT_NOBITS
from kbuildpy.elf.headers import SHDR_SIZE, Ehdr, Shdr
from kbuildpy.elf.rela_columns import RelaColumns, decode_rela_columns
from kbuildpy.elf.symbols import Row, SymbolRows
from kbuildpy.loader.kernel import LoaderKernel
from kbuildpy.loader.lifecycle.loaded import ModuleExport, Modules
from kbuildpy.loader.printk import printk
from kbuildpy.loader.verdict import Placed, Refusal, Undefined

_SYM_SIZE = 24
_LONG_NAME = 1024
_LOG_LINES = 10_000
"""More than the kernel's log holds (CONFIG_LOG_BUF_SHIFT=17 are 128 KiB)."""


# (what comparing and showing them would take costs a millisecond to make, in every build)
@dataclass(eq=False, repr=False, match_args=False)
class Index:
    """Numbers of the sections that the kernel looks for by name; 0 where there is none."""

    sym: int = 0
    str: int = 0
    mod: int = 0
    vers: int = 0
    info: int = 0
    pcpu: int = 0
    vers_ext_crc: int = 0
    vers_ext_name: int = 0


@dataclass(eq=False, repr=False, match_args=False)
class LoadInfo:
    """`contents` is what init_module(2) was given, `len` how much of it is the module (the signature is cut off),
    `args` the parameters, `packed` the beginning of a compressed file that it was in; `modules` are those that are
    loaded. `lines` collects what the kernel logs, `taint_lines` what of it is about taints, `requires` the owners of
    the symbols that were found, `unchecked` what could not be looked at. `on_demand`: the kernel's own modules are
    taken for loaded where a symbol of theirs is needed. `mem` are the sizes of the blocks of memory, `placed` the
    sections in them (`wrapped`: together they are larger than a size can be). `values` are the symbols' values once
    they are resolved; None for an address that only the running kernel knows, which is within a module's reach.
    `relocated` has the SHT_RELA sections that were applied, by the section that they are for.
    """

    contents: bytes
    kernel: LoaderKernel
    modules: Modules
    args: str = ""
    packed: bytes = b""
    len: int = 0
    hdr: Ehdr = field(default_factory=Ehdr)
    sechdrs: list[Shdr] = field(default_factory=list)
    index: Index = field(default_factory=Index)
    stage: str = ""
    name: str | None = None
    mod_name: str = ""
    sig_ok: bool = False
    sig_judged: bool = False
    taints: set[str] = field(default_factory=set)
    kernel_taints: set[str] = field(default_factory=set)
    using_gplonly_symbols: bool = False
    is_livepatch: bool = False
    versions: dict[str, int] | None = None
    absent: list[str] | None = None
    on_demand: bool = True
    wrapped: bool = False
    mem: dict[str, int] = field(default_factory=dict)
    placed: list[Placed] = field(default_factory=list)
    values: list[int | None] = field(default_factory=list)
    relocated: dict[int, list[int]] = field(default_factory=dict)
    exports: dict[str, ModuleExport] = field(default_factory=dict)
    _long_name: tuple[int, int] = (1, 0)
    _decoded: int = 0
    lines: list[str] = field(default_factory=list)
    taint_lines: set[str] = field(default_factory=set)
    requires: list[str] = field(default_factory=list)
    unchecked: list[str] = field(default_factory=list)

    @property
    def shown_name(self) -> str:
        """`info->name`, or what the kernel prints when it has none yet."""
        return self.name if self.name is not None else "(missing .modinfo section or name field)"

    def section_name(self, number: int) -> str:
        """The name of section `number`, as the kernel reads it: from the name table on, to the next NUL."""
        return self.secstring(self.sechdrs[number].sh_name)

    def secstring(self, sh_name: int) -> str:
        """The string at `sh_name` of the section names."""
        name = self._secstrings.get(sh_name)
        if name is None:
            names = self.sechdrs[self.hdr.e_shstrndx]
            name = self._secstrings[sh_name] = self.string_at(names.sh_offset + sh_name)
        return name

    @cached_property
    def _secstrings(self) -> dict[int, str]:
        return {}

    def string_at(self, offset: int) -> str:
        """The string at `offset` of the file, which must end in it: the kernel does not look. Of a name that is longer
        than any message of the kernel's, the rest is left out."""
        contents = self.contents
        stop = contents.find(b"\0", offset, offset + _LONG_NAME)
        if stop < 0:
            start, stop = self._long_name
            if not start <= offset <= stop:
                stop = contents.find(b"\0", offset)
                self._long_name = (offset, stop)
            if stop < 0:
                raise Undefined(
                    self.stage, f"a name at {offset:#x} reaches beyond the end of the module, and is read there"
                )
            stop = min(stop, offset + _LONG_NAME)
        return contents[offset:stop].decode("utf-8", "surrogateescape")

    def data(self, number: int) -> bytes:
        """The contents of section `number` in the file (empty for SHT_NOBITS)."""
        section = self.sechdrs[number]
        return (
            b""
            if section.sh_type == SHT_NOBITS
            else self.contents[section.sh_offset : section.sh_offset + section.sh_size]
        )

    def data_in_file(self, number: int) -> bytes:
        """What is where section `number` says that its contents are, whatever its type: for sections that the kernel
        reads in the file."""
        section = self.sechdrs[number]
        stop = section.sh_offset + section.sh_size
        if section.sh_size and stop > len(self.contents):
            name = self.section_name(number)
            raise Undefined(self.stage, f"{name} reaches beyond the end of the module, and is read there")
        return self.contents[section.sh_offset : stop]

    @cached_property
    def symbols(self) -> Sequence[Row]:
        """The rows of the symbol table (st_name, st_info, st_other, st_shndx, st_value, st_size); known from the
        validity checks on."""
        rows = SymbolRows(memoryview(self.data(self.index.sym)), self.hdr.order)
        # (a list is quicker to look up; of a sound module the table is a small part)
        return rows if len(rows) * _SYM_SIZE > len(self.contents) // 4 else list(rows)

    def relocations(self, number: int) -> RelaColumns:
        """The entries of the SHT_RELA section `number`."""
        columns = self._relocations.get(number)
        if columns is None:
            self._decoded += self.sechdrs[number].sh_size
            if self._decoded > 2 * len(self.contents):
                raise Undefined(
                    self.stage,
                    "its relocation sections overlap: together they are more than twice as long as the file, and are "
                    "not followed here",
                )
            columns = self._relocations[number] = decode_rela_columns(self.data(number), self.hdr.order)
        return columns

    @cached_property
    def _relocations(self) -> dict[int, RelaColumns]:
        return {}

    def symbol_name(self, number: int) -> str:
        """The name of symbol `number`. In the section headers, the kernel reads what it has written there."""
        start = self.sechdrs[self.index.str].sh_offset + self.symbols[number][0]
        name = self.string_at(start)
        headers = self.hdr.e_shoff
        if start + len(name) >= headers and start < headers + len(self.sechdrs) * SHDR_SIZE[True]:
            raise Undefined(self.stage, f"the name of symbol {number} is read from the section headers")
        return name

    def find_sec(self, name: str) -> int:
        """The first section of that name that has SHF_ALLOC; 0: none (kernel/module/main.c: find_sec)."""
        # (of the others, kernels before 6.4 do not even look at the names)
        return next(
            (number for number in self._allocated.get(name, []) if self.sechdrs[number].sh_flags & SHF_ALLOC), 0
        )

    def find_any_sec(self, name: str) -> int:
        """The same, whatever its flags (find_any_sec)."""
        return next(iter(self.numbers_of(name)), 0)

    def numbers_of(self, name: str) -> list[int]:
        """The numbers of all sections of that name, from 1 on."""
        return self._numbers.get(name, [])

    @cached_property
    def _allocated(self) -> dict[str, list[int]]:
        return self._by_name(
            number for number in range(1, len(self.sechdrs)) if self.sechdrs[number].sh_flags & SHF_ALLOC
        )

    @cached_property
    def _numbers(self) -> dict[str, list[int]]:
        return self._by_name(range(1, len(self.sechdrs)))

    def _by_name(self, chosen: Iterable[int]) -> dict[str, list[int]]:
        numbers: dict[str, list[int]] = {}
        for number in chosen:
            numbers.setdefault(self.section_name(number), []).append(number)
        return numbers

    def log(self, line: str, *, taint: bool = False) -> None:
        """The kernel logs a line and goes on; a `taint` is why it does."""
        if len(self.lines) < _LOG_LINES:
            self.lines.append(printk(line, self.kernel))
            if taint:
                self.taint_lines.add(self.lines[-1])

    def refuse(self, errno: str, line: str | None, reason: str, hint: str = "") -> Refusal:
        """What to raise when the kernel refuses the module here."""
        if line is not None:
            line = printk(line, self.kernel)
            self.log(line)
        return Refusal(self.stage, errno, line, reason, hint)

    def not_checked(self, what: str, fact: str = "") -> None:
        """A check is left out: say which, and why. `fact` is how the kernel's `missing` begins where that tells."""
        known = next((item for item in self.kernel.missing if fact and item.startswith(fact)), "")
        said = f"{what}: {known or f'{fact} is not known'}" if fact else what
        if said not in self.unchecked:
            self.unchecked.append(said)


def is_init_section(info: LoadInfo, name: str) -> bool:
    """Whether a section called `name` is for init only. Where modules are not unloaded, what is for leaving is not kept
    either (module_init_layout_section)."""
    return name.startswith(".init") or (name.startswith(".exit") and info.kernel.has("MODULE_UNLOAD") is False)
