# SPDX-License-Identifier: GPL-2.0-only
"""One module on its way through the stages: its file (`ModuleFile`), and what each stage found out about it.

A stage reads the fields that earlier ones have set, and sets its own: the line of a field names that stage.
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
"""More than the kernel's log holds (CONFIG_LOG_BUF_SHIFT=17 are 128 KiB)."""


class Signature(NamedTuple):
    """The answer of `module_sig_check`."""

    is_trusted: bool = False
    """`info->sig_ok`: a key that the kernel trusts made the signature."""
    is_judged: bool = False
    """Whether that is known: the kernel's keys may not be."""


# (without comparison and repr: generating those takes a millisecond, in every build)
@dataclass(eq=False, repr=False, match_args=False)
class Taints:
    """Letters of taints (kernel/panic.c: taint_flags)."""

    module: set[str] = field(default_factory=set)
    """Those of the module, as /proc/modules shows them."""
    kernel: set[str] = field(default_factory=set)
    """Those that loading sets in the kernel."""


@dataclass(eq=False, repr=False, match_args=False)
class Journal:
    """The log, and the checks that were left out."""

    lines: list[str] = field(default_factory=list)
    """The kernel's log."""
    taint_lines: set[str] = field(default_factory=set)
    """Those of `lines` that are about taints."""
    unchecked: dict[Unchecked, None] = field(default_factory=dict)
    """Checks that were left out, in order; the values mean nothing."""


class MemoryLayout(NamedTuple):
    """Where the module goes in memory: the answer of `layout_and_allocate`."""

    sizes: Mapping[str, int]
    """Bytes of each type of memory, by the kernel's name for it."""
    placed: tuple[Placed, ...] = ()
    """The sections that are kept, in the file's order, then the per-CPU section."""
    numbers: Sequence[int] = ()
    """The section number of each. (Beside them, as four bytes each: a hostile file has 10^5 sections.)"""


NOT_SIGNED = Signature()
NOT_LAID_OUT = MemoryLayout({})


@dataclass(eq=False, repr=False, match_args=False, kw_only=True)
class LoadInfo(ModuleFile):
    """The module, the kernel that loads it, and the stages' results."""

    kernel: LoaderKernel
    """The kernel that is asked. Given, like the next five."""
    machine: MachineFacts
    """The facts of the kernel's machine."""
    modules: Modules
    """The modules that are loaded."""
    args: str = ""
    """The parameters."""
    packed: bytes = b""
    """The beginning of the compressed file that the module was in; empty if it was not compressed."""
    on_demand: bool = True
    """Whether the kernel's own modules count as loaded where a symbol of theirs is needed, as modprobe loads them."""

    signature: Signature = NOT_SIGNED
    """Set by `module_sig_check`."""
    name: str | None = None
    """`info->name`: from `.modinfo`, else from struct module. Set by `elf_validity`."""
    mod_name: str = ""
    """`mod->name`, from struct module. Set by `elf_validity`."""
    is_livepatch: bool = False
    """Set by `check_livepatch`."""
    layout: MemoryLayout = NOT_LAID_OUT
    """Set by `layout_and_allocate`."""
    values: list[int | None] = field(default_factory=list)
    """The symbols' values; None for an address that only the running kernel knows, within a module's reach. Set by
    `simplify_symbols`."""
    requires: list[str] = field(default_factory=list)
    """The owners of the symbols that were found. Grows in `simplify_symbols`."""
    using_gplonly_symbols: bool = False
    """Whether one of those is for GPL-compatible modules only."""
    relocated: dict[int, list[int]] = field(default_factory=dict)
    """The SHT_RELA sections that were applied, by the section that they change. Grows in `apply_relocations`."""
    exports: dict[str, ModuleExport] = field(default_factory=dict)
    """The module's own exports. Set by `verify_exported_symbols`."""
    taints: Taints = field(default_factory=Taints)
    """Grows in many stages."""
    journal: Journal = field(default_factory=Journal)
    """Grows in every stage."""

    versions: dict[str, int] | None = None
    """The module's CRCs by symbol, decoded when the first is compared (`versions`)."""
    absent: list[str] | None = None
    """Modules in `depends=` that nothing is known of, looked up for the first symbol that is not found (`symbols`)."""
    refused: str | None = None
    """The first module in `depends=` that was refused itself, "" for none, looked up in the same way."""
    namespaces: tuple[set[str], Iterator[str]] | None = None
    """Namespaces in `import_ns=`: those that were read so far for symbols in namespaces, and the rest (`symbols`)."""

    @property
    def shown_name(self) -> str:
        """`info->name`, or what the kernel prints when it has none yet."""
        return self.name if self.name is not None else "(missing .modinfo section or name field)"

    def log(self, line: str, *, taint: bool = False) -> str:
        """The kernel logs `line` and goes on; `taint`: the line is about a taint. Returns the line as the log has
        it."""
        line = printk(line, self.kernel)
        if len(self.journal.lines) < _LOG_LINES:
            self.journal.lines.append(line)
            if taint:
                self.journal.taint_lines.add(line)
        return line

    def warn(self, file: str, function: str, message: str | None = None) -> None:
        """WARN(): `message`, a line that says where, and a trace, which is left out here; the kernel goes on, with
        taint W."""
        if message is not None:
            self.log(message)
        if self.kernel.version >= since.WARNING_WITH_COMMAND:
            self.log(f"WARNING: {file}:<line> at {function}+<offset>, CPU#<cpu>: <command>/<pid>")
        else:
            self.log(f"WARNING: CPU: <cpu> PID: <pid> at {file}:<line> {function}+<offset>")
        self.taints.kernel.add("W")

    def refuse(self, errno: str, line: str | None, reason: str, hint: str = "") -> Refusal:
        """The exception to raise where the kernel refuses the module with `errno`; `line` is logged before."""
        if line is not None:
            line = self.log(line)
        return Refusal(self.stage, errno, line, reason, hint)

    def not_checked(self, check: str, missing: Fact | None = None, reason: str = "") -> None:
        """Note that `check` is left out, because a fact about the kernel is `missing`, or for another `reason`."""
        if missing is not None and not reason:
            reason = self.kernel.missing.get(missing, "")
        self.journal.unchecked[Unchecked(check, missing, reason)] = None

    def is_set(self, *symbols: str) -> bool:
        """Whether the kernel has one of these options (an option and its later names). Taken for set where the
        configuration is not known: the tables in the module show that its tree had it."""
        return self.kernel.config is None or any(self.kernel.has(symbol) for symbol in symbols)

    def is_init_section(self, name: str) -> bool:
        """Whether a section called `name` is for init only. A kernel that does not unload modules does not keep what is
        for exit either (module_init_layout_section)."""
        return name.startswith(".init") or (name.startswith(".exit") and self.kernel.has("MODULE_UNLOAD") is False)

    def struct_functions(self) -> tuple[bool, bool]:
        """Whether `init` and `exit` of struct module are set: by relocations, or in the file."""
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
            return place is not None and (place in places or any(contents[place : place + 8]))

        return is_set(known.init), is_set(known.exit)
