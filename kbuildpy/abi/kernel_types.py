# SPDX-License-Identifier: GPL-2.0-only
"""The BTF of one kernel: of `vmlinux`, and of its modules as far as somebody asks for what they export.

A module's types continue those of `vmlinux`. Here each module's have numbers of their own, so that all of them are one
graph.
"""

from __future__ import annotations

from collections.abc import Iterator

from kbuildpy.abi.btf_graph import BtfGraph
from kbuildpy.abi.type_graph import VOID, Type, follow
from kbuildpy.elf import ModuleImage
from kbuildpy.errors import KbuildError
from kbuildpy.loader.btf.header import parse_header
from kbuildpy.loader.btf.invalid import InvalidBtf
from kbuildpy.loader.btf.types import BtfTypes, read_types
from kbuildpy.loader.kernel import LoaderKernel

_SHIFT = 32


class KernelTypes:
    """The types of a kernel and of its modules."""

    def __init__(self, kernel: LoaderKernel, own: BtfTypes) -> None:
        self._kernel = kernel
        self._graphs = [BtfGraph(own)]
        self._of_module: dict[str, BtfGraph | None] = {"": self._graphs[0]}
        self._real: dict[int, tuple[int, tuple[str, ...]]] = {}

    def at(self, number: int) -> Type:
        """Type `number`."""
        index = number >> _SHIFT
        return self._graphs[index].at(number) if 0 <= index < len(self._graphs) else VOID

    def real(self, number: int) -> tuple[int, tuple[str, ...]]:
        """The type behind typedefs and qualifiers, and their names."""
        found = self._real.get(number)
        if found is None:
            found = self._real[number] = follow(self, number)
        return found

    def of_symbol(self, symbol: str, owner: str) -> list[int]:
        """The types of the function or variable `symbol` that `owner` (a module, "" for the kernel) exports: none where
        BTF does not have it, several where it has several things of that name."""
        graph = self._graph(owner)
        if graph is None:
            return []
        return graph.functions(symbol) or graph.variables(symbol)

    def named(self, keyword: str, name: str) -> list[int]:
        """The types `struct name` and so on, of the kernel and of the modules that were asked for."""
        return [number for graph in self._graphs for number in graph.named(keyword, name)]

    def names(self) -> Iterator[tuple[str, str]]:
        """Keyword and name of all structs, unions and enums of the kernel itself."""
        return iter(self._graphs[0].names)

    def add_module(self, owner: str) -> None:
        """Take the types of a module, too, if it has some."""
        self._graph(owner)

    def _graph(self, owner: str) -> BtfGraph | None:
        if owner not in self._of_module:
            types = self._types_of_module(owner)
            graph = BtfGraph(types, len(self._graphs) << _SHIFT) if types else None
            if graph:
                self._graphs.append(graph)
            self._of_module[owner] = graph
        return self._of_module[owner]

    def _types_of_module(self, owner: str) -> BtfTypes | None:
        """The types of one of the kernel's own modules; None where it has none, or is not here."""
        modules = self._kernel.own_modules
        try:
            contents = modules.contents(owner) if modules else None
            image = ModuleImage(contents, owner) if contents else None
            section = image.section(".BTF") if image else None
            if image is None or section is None or image.section(".BTF.base"):
                return None
            parts = parse_header(image.section_data(section), self._kernel.version, is_split=True)
        except (KbuildError, InvalidBtf):
            return None
        return read_types(parts.types, parts.strings, self._kernel.version, self._graphs[0].types)


def kernel_types(kernel: LoaderKernel) -> tuple[KernelTypes | None, str]:
    """The types of `kernel`; None, and why, where it has none or its image is not here."""
    hint = "its image has them where CONFIG_DEBUG_INFO_BTF=y"
    if kernel.own_types is None:
        return None, f"the image of {kernel.release} is not here; {hint}"
    try:
        own = kernel.own_types()
    except KbuildError as error:
        return None, error.message
    if own is None:
        return None, f"no type information (BTF) of {kernel.release} was found; {hint}"
    return KernelTypes(kernel, own), ""
