# SPDX-License-Identifier: GPL-2.0-only
"""Whether a module may use an export, by its licence and the namespaces that it imports, without loading it.

The stages of the loader judge symbol by symbol and end at the first error; this answers for each symbol alone.
"""

from __future__ import annotations

from typing import NamedTuple

from kbuildpy.elf import ModuleImage
from kbuildpy.kernel.licenses import GPL_COMPATIBLE
from kbuildpy.loader.kernel import KernelExport
from kbuildpy.loader.stages.symbols import for_module


class ImportRights(NamedTuple):
    """What a module says of itself that decides which exports it may use."""

    module: str
    """Its name."""
    gpl_compatible: bool
    namespaces: frozenset[str]
    """Those that it imports."""

    def against(self, export: KernelExport) -> tuple[str, ...]:
        """Why the module may not use `export`: `gpl-only`, `namespace`, both, or nothing
        (kernel/module/main.c: find_symbol, verify_namespace_is_imported)."""
        found = []
        if export.gpl_only and not self.gpl_compatible:
            found.append("gpl-only")
        imported = export.namespace in self.namespaces or for_module(export.namespace, self.module)
        if export.namespace and not imported:
            found.append("namespace")
        return tuple(found)


def import_rights(image: ModuleImage, module: str) -> ImportRights:
    """The rights of `image`, the module called `module`."""
    licensed = {*image.modinfo_values("license")} <= GPL_COMPATIBLE
    return ImportRights(module, licensed, frozenset(value.strip('"') for value in image.modinfo_values("import_ns")))
