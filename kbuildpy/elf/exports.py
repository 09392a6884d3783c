"""The symbols that an image exports.

Until 6.3 the compiler's output carries the kernel's own tables: a symbol `__ksymtab_NAME` in section
`___ksymtab+NAME` or `___ksymtab_gpl+NAME`, and the namespace at `__kstrtabns_NAME`. From 6.4 on it carries a
request, and modpost makes the tables: in `.export_symbol` the label `__export_symbol_NAME` is followed by the
license, the namespace, and a reference to NAME. A finished `.ko` has the tables (`__ksymtab`) on every kernel.
"""

from __future__ import annotations

from typing import NamedTuple

from kbuildpy.elf.constants import SHN_UNDEF
from kbuildpy.elf.image import ModuleImage

KSYMTAB = "__ksymtab_"
KSTRTABNS = "__kstrtabns_"
EXPORT_LABEL = "__export_symbol_"


class Export(NamedTuple):
    """An exported symbol: its name, whether only GPL-compatible modules may use it, and its namespace or ""."""

    name: str
    gpl_only: bool
    namespace: str


def read_exports(image: ModuleImage) -> tuple[Export, ...]:
    """The exports of `image` in its symbol table's order."""
    symbols = image.symbols
    wanted = symbols.starting_with(KSYMTAB.encode(), KSTRTABNS.encode(), EXPORT_LABEL.encode())
    found: dict[str, Export] = {}
    namespaces: dict[str, str] = {}
    for index, (st_name, _, _, st_shndx, _, _) in enumerate(symbols.rows):
        if st_name not in wanted or st_shndx == SHN_UNDEF:
            continue
        symbol = symbols[index]
        section = image.section_name(symbol.shndx)
        if symbol.name.startswith(KSYMTAB) and section.lstrip("_").startswith("ksymtab"):
            name = symbol.name[len(KSYMTAB) :]
            found[name] = Export(name, section.lstrip("_").startswith("ksymtab_gpl"), "")
        elif symbol.name.startswith(KSTRTABNS):
            namespaces[symbol.name[len(KSTRTABNS) :]] = image.string_at(symbol.shndx, symbol.value)
        elif symbol.name.startswith(EXPORT_LABEL) and section == ".export_symbol":
            name = symbol.name[len(EXPORT_LABEL) :]
            license = image.string_at(symbol.shndx, symbol.value)
            namespace = image.string_at(
                symbol.shndx, symbol.value + len(license.encode("utf-8", "surrogateescape")) + 1
            )
            found[name] = Export(name, license == "GPL", namespace)
    return tuple(export._replace(namespace=namespaces.get(name, export.namespace)) for name, export in found.items())
