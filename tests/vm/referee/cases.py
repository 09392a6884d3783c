# SPDX-License-Identifier: GPL-2.0-only
"""What is put before a kernel: a module, damaged or not, and what must be loaded before it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from kbuildpy.elf.image import ModuleImage
from kbuildpy.kernel.tree import KernelTree
from tests.vm.referee.draft import Draft

THIS_MODULE = ".gnu.linkonce.this_module"


@dataclass(frozen=True)
class Case:
    """A module to load. `name` is "stage/what is wrong"; `needs` are modules that are loaded before, and removed
    after the last case in a row that needs them; `call` is "finit" or "init", for the two system calls, or
    "packed" for the first with a compressed file that the kernel is to unpack. From the first
    case on that is `enforced`, the kernel insists on signatures."""

    name: str
    contents: bytes
    args: str = ""
    needs: tuple[bytes, ...] = ()
    call: str = "finit"
    enforced: bool = False


@dataclass(frozen=True)
class Bases:
    """The sound modules that cases are made of, for one kernel (see modules/); `shipped` is one that the kernel came
    with, signed by whom it trusts, None where no package of it is to be had."""

    tree: KernelTree
    rich: bytes
    quiet: bytes
    user: bytes
    other: bytes
    heir: bytes
    heir_gpl: bytes
    shipped: bytes | None = None

    @property
    def still(self) -> bytes:
        """`rich` without init and exit: nothing of it ever runs."""
        draft = Draft(self.rich)
        draft.set_relocations(THIS_MODULE, [])
        return draft.file()

    @property
    def untyped(self) -> bytes:
        """`quiet` without the BTF that the kernel tree may have made."""
        draft = Draft(self.quiet)
        for name in (".BTF", ".BTF.base"):
            if self._has(name):
                draft.rename(name, f".no{name}")
        return draft.file()

    @property
    def typed(self) -> bytes | None:
        """`quiet` with the types of `shipped`, which go on from the kernel's own; None where the kernel does not insist
        on sound types."""
        if self.shipped is None or not self.insists_on_types or not self._has(".BTF", self.shipped):
            return None
        draft, shipped = Draft(self.untyped), Draft(self.shipped)
        draft.add(".BTF", shipped.data(shipped.section(".BTF")))
        return draft.file()

    @property
    def insists_on_types(self) -> bool:
        """Whether the kernel refuses a module for its BTF."""
        config = self.tree.config
        return "CONFIG_DEBUG_INFO_BTF_MODULES" in config and "CONFIG_MODULE_ALLOW_BTF_MISMATCH" not in config

    @property
    def has_versions(self) -> bool:
        """Whether the kernel has modversions."""
        return self._has("__versions")

    @property
    def has_btf(self) -> bool:
        """Whether the kernel tree made BTF for the modules."""
        return self._has(".BTF")

    @property
    def has_smp_locks(self) -> bool:
        """Whether the kernel patches lock prefixes (until 7.0 it did)."""
        return self._has(".smp_locks", self.rich)

    @property
    def has_flags_of_exports(self) -> bool:
        """Whether the kernel tells exports for everybody from GPL-only ones by flags, not by two tables."""
        return self._has("__kflagstab")

    def rich_has(self, name: str) -> bool:
        """Whether `rich` has a section of that name, which other machines may not have."""
        return self._has(name, self.rich)

    def _has(self, name: str, module: bytes | None = None) -> bool:
        draft = Draft(module or self.quiet)
        return any(draft.name_of(section) == name for section in draft.sections)

    @property
    def version(self) -> tuple[int, int]:
        """The kernel's version."""
        return self.tree.version


@dataclass(frozen=True)
class Load:
    """A step: load `contents`, and remove it again unless `keep`. `case` is the case that it belongs to."""

    case: str
    contents: bytes
    args: str = ""
    call: str = "finit"
    keep: bool = False
    enforced: bool = False


@dataclass(frozen=True)
class Enforce:
    """A step: have the kernel insist on signatures, for ever."""


@dataclass(frozen=True)
class Unload:
    """A step: remove the module called `name`."""

    name: str


Step = Load | Unload | Enforce


def steps_of(cases: Iterable[Case]) -> list[Step]:
    """The steps that `cases` take, in their order."""
    steps: list[Step] = []
    there: tuple[bytes, ...] = ()
    enforced = False
    for case in cases:
        if case.enforced and not enforced:
            steps.append(Enforce())
            enforced = True
        if case.needs != there:
            steps += _removal(there)
            steps += [Load(f"{case.name} (needed)", needed, keep=True) for needed in case.needs]
            there = case.needs
        steps.append(Load(case.name, case.contents, case.args, case.call, enforced=enforced))
    return [*steps, *_removal(there)]


def _removal(loaded: Sequence[bytes]) -> list[Step]:
    return [Unload(_name(contents)) for contents in reversed(loaded)]


def _name(contents: bytes) -> str:
    (name,) = ModuleImage(contents, "needed").modinfo_values("name")
    return name
