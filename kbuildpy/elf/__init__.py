"""Module images: the one place that reads ELF.

Importing this costs a few milliseconds; pyelftools is imported only by `ModuleImage.elffile()`.
"""

from kbuildpy.elf.exports import Export
from kbuildpy.elf.image import ModuleImage
from kbuildpy.elf.relocations import Relocation
from kbuildpy.elf.sections import Header, Section
from kbuildpy.elf.symbols import Symbol, SymbolTable

__all__ = ["Export", "Header", "ModuleImage", "Relocation", "Section", "Symbol", "SymbolTable"]
