"""Module images: the one place that reads ELF.

What is in this room is imported when it is asked for: the loader check needs but little of it, and pyelftools is
imported only by `ModuleImage.elffile()`.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kbuildpy.elf.exports import Export
    from kbuildpy.elf.image import ModuleImage
    from kbuildpy.elf.relocations import Relocation
    from kbuildpy.elf.sections import Header, Section
    from kbuildpy.elf.symbols import Symbol, SymbolTable

__all__ = ["Export", "Header", "ModuleImage", "Relocation", "Section", "Symbol", "SymbolTable"]

_FILES = {
    "Export": "exports",
    "ModuleImage": "image",
    "Relocation": "relocations",
    "Header": "sections",
    "Section": "sections",
    "Symbol": "symbols",
    "SymbolTable": "symbols",
}


def __getattr__(name: str) -> Any:
    if name not in _FILES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_FILES[name]}"), name)
