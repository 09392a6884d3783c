# SPDX-License-Identifier: GPL-2.0-only
"""The state of loading one module: its file (`ModuleFile`), the kernel, and the results of the stages so far.

A stage reads the fields that earlier stages have set, and sets its own. The docstring of a field names the stage that
sets it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from kbuildpy.elf.constants import SHT_REL, SHT_RELA
from kbuildpy.loader import since
from kbuildpy.loader.facts import Fact, Unchecked
from kbuildpy.loader.kernel import LoaderKernel
from kbuildpy.loader.loaded import ModuleExport, Modules
from kbuildpy.loader.machines.facts import MachineFacts
from kbuildpy.loader.module_file import ModuleFile
from kbuildpy.loader.printk import printk
from kbuildpy.loader.verdict import Placed, Refusal

_LOG_LINES = 10_000
"""The most lines that are kept: more than fit in the kernel's log (128 KiB with CONFIG_LOG_BUF_SHIFT=17)."""


class Signature(NamedTuple):
    """The result of `module_sig_check`."""

    is_trusted: bool = False
    """`info->sig_ok`: whether the signature is valid and by a key that the kernel trusts."""
    is_judged: bool = False
    """Whether `is_trusted` is known; False if the kernel's keys are not known."""


# Comparison and repr are left out because generating them takes a millisecond in every build.
@dataclass(eq=False, repr=False, match_args=False)
class Taints:
    """The letters of the taints that loading sets (kernel/panic.c: taint_flags)."""

    module: set[str] = field(default_factory=set)
    """The taints of the module, as /proc/modules shows them."""
    kernel: set[str] = field(default_factory=set)
    """The taints that loading sets in the kernel."""


@dataclass(eq=False, repr=False, match_args=False)
class Journal:
    """The lines of the kernel's log, and the checks that were not made."""

    lines: list[str] = field(default_factory=list)
    """The lines of the log, in order."""
    taint_lines: set[str] = field(default_factory=set)
    """The `lines` that are about taints."""
    unchecked: dict[Unchecked, None] = field(default_factory=dict)
    """The checks that were not made: an ordered set. All values are None."""
    once: set[str] = field(default_factory=set)
    """Texts of lines that the kernel logs once a boot, and that are in `lines`."""


class MemoryLayout(NamedTuple):
    """The places of the sections in memory: the result of `layout_and_allocate`."""

    sizes: Mapping[str, int]
    """Bytes of each type of memory, by the kernel's name for it."""
    placed: tuple[Placed, ...] = ()
    """The sections that are kept in memory, in the file's order, then the per-CPU section."""
    numbers: Sequence[int] = ()
    """The number of each section in `placed`. They are in an array of four bytes each to save memory: a hostile file
    may have 10^5 sections."""


class UndefinedSymbol(NamedTuple):
    """A symbol that the kernel or another module must export."""

    name: str
    """Its name."""
    value: int
    """Its value if it is weak, and nothing exports it."""
    is_weak: bool
    """Whether it may be missing."""


NOT_SIGNED = Signature()
NOT_LAID_OUT = MemoryLayout({})


@dataclass(eq=False, repr=False, match_args=False, kw_only=True)
class LoadInfo(ModuleFile):
    """The module, the kernel that loads it, and the stages' results."""

    kernel: LoaderKernel
    """The kernel that loads the module. This field and the next five are parameters of load_module()."""
    machine: MachineFacts
    """The facts of the kernel's machine."""
    modules: Modules
    """The modules that are loaded."""
    args: str = ""
    """The string of arguments that sets the module's parameters."""
    packed: bytes = b""
    """The beginning of the compressed file that the module was in; empty if it was not compressed."""
    on_demand: bool = True
    """Whether one of the kernel's own modules counts as loaded if the module needs a symbol of it, as with modprobe."""

    called: str = ""
    """The function that load_module() called last; `stage` may be one that it calls in turn. Set before each stage."""
    signature: Signature = NOT_SIGNED
    """Set by `module_sig_check`."""
    name: str | None = None
    """`info->name`, from `.modinfo`, or from struct module if it is not there. Set by `elf_validity`."""
    mod_name: str = ""
    """`mod->name`, from struct module. Set by `elf_validity`."""
    is_livepatch: bool = False
    """Whether `.modinfo` declares a livepatch module. Set by `check_livepatch`."""
    reserved: int = 0
    """Bytes at the beginning of the module's code (up to 6.3: of its core) that the machine has for itself. Set by
    `module_frob_arch_sections`."""
    plt_entries: dict[str, int] = field(default_factory=dict)
    """The entries that branches in the module's code and in its init code have reserved, by the section that they are
    in (`.plt`, `.init.plt`). Set by `module_frob_arch_sections` of arm64."""
    size_unknown: str = ""
    """Why the size of the module is not known, though the configuration is. Set by `module_frob_arch_sections`."""
    layout: MemoryLayout = NOT_LAID_OUT
    """Set by `layout_and_allocate`."""
    values: list[int | None] = field(default_factory=list)
    """The value of each symbol, by its number; None for a symbol of the kernel or another module: its address is within
    reach of a module, but only the running kernel knows it. Set by `simplify_symbols`."""
    requires: list[str] = field(default_factory=list)
    """The modules that own the symbols that were resolved. Filled by `simplify_symbols`."""
    using_gplonly_symbols: bool = False
    """Whether a resolved symbol is for GPL-compatible modules only. Set by `simplify_symbols`."""
    relocated: dict[int, list[int]] = field(default_factory=dict)
    """The relocation sections that were applied, by the number of their target. Filled by `apply_relocations`."""
    exports: dict[str, ModuleExport] = field(default_factory=dict)
    """The module's own exports. Set by `verify_exported_symbols`."""
    taints: Taints = field(default_factory=Taints)
    """The taints so far. Many stages add some."""
    journal: Journal = field(default_factory=Journal)
    """The log and the missing checks so far. Every stage may add some."""

    versions: dict[str, int] | None = None
    """The module's CRCs by symbol, decoded when the first is compared (`versions`)."""
    absent: list[str] | None = None
    """Modules in `depends=` that nothing is known of, looked up for the first symbol that is not found (`symbols`)."""
    refused: str | None = None
    """The first module in `depends=` that was refused itself, "" for none, looked up in the same way."""
    namespaces: tuple[set[str], Iterator[str]] | None = None
    """Namespaces in `import_ns=`: those that were read so far for symbols in namespaces, and the rest (`symbols`)."""
    undefined: Sequence[UndefinedSymbol] | None = None
    """The undefined symbols, where they are known without the symbol table (`kept/`)."""
    depends: Sequence[str] | None = None
    """The names in `depends=`, where they are known without `.modinfo` (`kept/`)."""

    @property
    def numbers_in_place(self) -> frozenset[int]:
        """As the machine has them."""
        kinds = self.machine.relocations
        return frozenset() if self.machine.rela else kinds.absolute | kinds.relative

    @property
    def page_size(self) -> int:
        """PAGE_SIZE in bytes."""
        sizes = (size for option, size in self.machine.page_sizes if self.kernel.has(option))
        return next(sizes, self.machine.page_size)

    @property
    def shown_name(self) -> str:
        """`info->name`, or the text that the kernel prints for a module without a name."""
        return self.name if self.name is not None else "(missing .modinfo section or name field)"

    def log(self, line: str, *, taint: bool = False) -> str:
        """Add `line` to the log, and return it as the log has it (`printk`). `taint`: the line is about a taint."""
        line = printk(line, self.kernel)
        if len(self.journal.lines) < _LOG_LINES:
            self.journal.lines.append(line)
            if taint:
                self.journal.taint_lines.add(line)
        return line

    def warn(self, file: str, function: str, message: str | None = None) -> None:
        """Log a WARN() at `function` of `file`, and set taint W. The lines are `message` and the location; the stack
        trace is left out."""
        if message is not None and self.machine.warns_with_trap:
            self.log(message)
        if self.kernel.version >= since.WARNING_WITH_COMMAND:
            self.log(f"WARNING: {file}:<line> at {function}+<offset>, CPU#<cpu>: <command>/<pid>")
        else:
            self.log(f"WARNING: CPU: <cpu> PID: <pid> at {file}:<line> {function}+<offset>")
        if message is not None and not self.machine.warns_with_trap:
            self.log(message)
        self.taints.kernel.add("W")

    def refuse(self, errno: str, line: str | None, reason: str, hint: str) -> Refusal:
        """Log `line`, and return the exception for a module that the kernel refuses with `errno`. None as `line`: the
        kernel logs nothing."""
        if line is not None:
            line = self.log(line)
        return Refusal(self.stage, errno, line, reason, hint)

    def not_checked(self, check: str, missing: Fact | None = None, reason: str = "") -> None:
        """Note that `check` is not made, because the fact `missing` about the kernel is not known, or for `reason`."""
        if missing is not None and not reason:
            reason = self.kernel.missing.get(missing, "")
        self.journal.unchecked[Unchecked(check, missing, reason)] = None

    def is_set(self, *symbols: str) -> bool:
        """Return whether the kernel has one of the options `symbols` (an option and its later names).

        True if the configuration is not known: the module has the tables of an option only if its kernel tree had the
        option.
        """
        return self.kernel.config is None or any(self.kernel.has(symbol) for symbol in symbols)

    def is_init_section(self, name: str) -> bool:
        """Return whether a section called `name` is freed after init. A kernel without MODULE_UNLOAD frees exit
        sections, too (module_init_layout_section)."""
        facts = self.machine
        if name.startswith(facts.init_prefixes):
            return True
        return name.startswith(facts.exit_prefixes) and self.kernel.has("MODULE_UNLOAD") is False

    def struct_functions(self) -> tuple[bool, bool]:
        """Return whether `init` and whether `exit` of struct module are set, by relocations or in the file. Both are
        True if the layout of struct module is not known."""
        known = self.kernel.struct_module
        if known is None:
            return True, True
        places = {
            entry.offset
            for number, section in enumerate(self.sechdrs)
            if section.sh_type in (SHT_REL, SHT_RELA) and section.sh_info == self.index.mod
            for entry in self.relocation_entries(number)
        }
        contents = self.data(self.index.mod)

        def is_set(place: int | None) -> bool:
            return place is not None and (place in places or any(contents[place : place + self.machine.word]))

        return is_set(known.init), is_set(known.exit)
