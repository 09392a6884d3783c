# SPDX-License-Identifier: GPL-2.0-only
"""The symbols that a module exports, and those that it imports, with who exports them in a kernel."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from kbuildpy.elf import ModuleImage
from kbuildpy.elf.constants import STB_WEAK, STT_LOPROC
from kbuildpy.loader.kernel import Exports


class Export(NamedTuple):
    """A symbol that the module exports."""

    name: str
    gpl_only: bool
    namespace: str
    """"" for none."""
    crc: int | None
    """Its version; None without modversions."""


class Import(NamedTuple):
    """A symbol that the module imports. What the kernel says is None where no kernel is known."""

    name: str
    crc: int | None
    """The version that the module was built for; None without modversions."""
    is_weak: bool
    """Whether the module loads without it."""
    owner: str | None = None
    """The module that exports it, "vmlinux" for the kernel itself, "" if nobody does."""
    namespace: str | None = None
    """The namespace that it is exported in, or ""."""
    gpl_only: bool | None = None
    """Whether only GPL-compatible modules may use it."""
    kernel_crc: int | None = None
    """The version that the kernel has."""

    @property
    def differs(self) -> bool:
        """Whether the kernel has another version than the module was built for."""
        return self.crc is not None and self.kernel_crc is not None and self.crc != self.kernel_crc


def imports_of(image: ModuleImage, versions: Mapping[str, int], exports: Exports | None) -> list[Import]:
    """The symbols that the module imports, sorted by owner and name; `exports` are those of the kernel."""
    found = {
        symbol.name: Import(symbol.name, versions.get(symbol.name), symbol.bind == STB_WEAK)
        for symbol in image.undefined
        # (registers of SPARC)
        if symbol.name and symbol.type != STT_LOPROC
    }
    if exports is not None:
        found = {name: _looked_up(item, exports) for name, item in found.items()}
    return sorted(found.values(), key=lambda item: (item.owner != "vmlinux", item.owner or "", item.name))


def _looked_up(item: Import, exports: Exports) -> Import:
    export = exports.find(item.name)
    if export is None:
        return item._replace(owner="")
    return item._replace(
        owner=export.owner or "vmlinux",
        namespace=export.namespace,
        gpl_only=export.gpl_only,
        kernel_crc=export.crc,
    )
