# SPDX-License-Identifier: GPL-2.0-only
"""ELF: the one room that decodes it.

- `headers`: the ELF header and section headers as they are, unchecked.
- `sections`: the same, checked: a section outside the file raises `KbuildError`.
- `image`: `ModuleImage`, a `.o` or `.ko` with its sections, symbols, relocations and `.modinfo`.
- `symbols`, `relocations`, `rela_columns`: the tables, decoded in bulk (10^5 symbols, 10^6 relocations).
- `kernel_symbol`: an entry of a table of exports. `notes`: ELF notes. `addresses`: a copy of an image for gdb.
- `constants`, `relocation_types`: numbers of the specifications. Machine numbers (`EM_*`), section and symbol types
  stand in `constants`; the relocation types of all machines in `relocation_types`.

The names below are imported on first use: the loader check needs few of these files, and only
`ModuleImage.elffile()` imports pyelftools.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kbuildpy.elf.headers import Ehdr
    from kbuildpy.elf.image import ModuleImage
    from kbuildpy.elf.relocations import Relocation
    from kbuildpy.elf.sections import Section
    from kbuildpy.elf.symbols import Symbol, SymbolTable

__all__ = ["Ehdr", "ModuleImage", "Relocation", "Section", "Symbol", "SymbolTable"]

_FILES = {
    "Ehdr": "headers",
    "ModuleImage": "image",
    "Relocation": "relocations",
    "Section": "sections",
    "Symbol": "symbols",
    "SymbolTable": "symbols",
}


def __getattr__(name: str) -> Any:
    if name not in _FILES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_FILES[name]}"), name)
