# SPDX-License-Identifier: GPL-2.0-only
"""What a module file says about other modules.

Counterpart: kmod (libkmod/libkmod-elf.c: kmod_elf_get_symbols), which takes the names of exports from
`__ksymtab_strings`, too.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from kbuildpy.elf import ModuleImage
from kbuildpy.elf.constants import STB_WEAK, STT_LOPROC
from kbuildpy.errors import KbuildError
from kbuildpy.kernel.depmod_indexes import read_softdeps
from kbuildpy.kernel.module_files import module_name, read_module
from kbuildpy.kernel.module_identity import built_for


class LinkedModule(NamedTuple):
    """A module file, as far as other modules matter."""

    name: str
    file: str
    built_for: str
    """The release in its vermagic; "" for none."""
    exports: frozenset[str]
    """The symbols that it exports. (The names of its namespaces are among them; no symbol has such a name.)"""
    imports: tuple[str, ...]
    """The symbols that it needs."""
    weak: tuple[str, ...]
    """Those that it loads without."""
    stated: tuple[str, ...]
    """The modules in `depends=`."""
    before: tuple[str, ...]
    """Soft dependencies that are loaded before it, as names or aliases."""
    after: tuple[str, ...]
    """Those that are loaded after it."""


def read_linked(path: Path) -> LinkedModule:
    """Read a module file. Raises `KbuildError` for what is no module."""
    image = ModuleImage(read_module(path), str(path))
    if image.section(".modinfo") is None:
        raise KbuildError(f"{path}: not a module: it has no .modinfo", hint="name modules (.ko), not their objects")
    strings = image.section("__ksymtab_strings")
    exported = image.section_data(strings).decode("utf-8", "surrogateescape") if strings else ""
    # (registers of SPARC are no symbols of modules)
    undefined = [symbol for symbol in image.undefined if symbol.name and symbol.type != STT_LOPROC]
    soft = [read_softdeps(value) for value in image.modinfo_values("softdep")]
    return LinkedModule(
        name=next(iter(image.modinfo_values("name")), "").replace("-", "_") or module_name(path.name),
        file=str(path),
        built_for=built_for(image),
        exports=frozenset(filter(None, exported.split("\0"))),
        imports=tuple(symbol.name for symbol in undefined if symbol.bind != STB_WEAK),
        weak=tuple(symbol.name for symbol in undefined if symbol.bind == STB_WEAK),
        stated=tuple(
            name.replace("-", "_") for value in image.modinfo_values("depends") for name in value.split(",") if name
        ),
        before=tuple(name for item in soft for name in item.pre),
        after=tuple(name for item in soft for name in item.post),
    )
