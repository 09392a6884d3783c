# SPDX-License-Identifier: GPL-2.0-only
"""The options that a kernel needs for modules at hand: those behind the symbols that they import (`--for`)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from kbuildpy.elf.image import ModuleImage
from kbuildpy.kernel_build.dependencies import with_dependencies
from kbuildpy.kernel_build.exporters import exporting_files, ways_to_compile
from kbuildpy.kernel_build.kconfig import read_kconfig
from kbuildpy.kernel_build.sources import KernelSource

_EXPORTED = "__ksymtab_"
_OF_COMPILED_CODE = (
    *("arch/", "mm/kasan/", "mm/kmsan/", "kernel/kcsan/", "kernel/kcov.c", "kernel/gcov/", "lib/ubsan.c"),
    *("mm/usercopy.c", "lib/list_debug.c"),
)
"""Where symbols are from that compiled code calls by itself (thunks, entries of functions, checks): they follow from
the options of the kernel that a module was built for, and another one has its own."""


@dataclass(frozen=True)
class NeededOptions:
    """What was found out about the symbols that modules import."""

    options: Mapping[str, str]
    """Those to add, with what they depend on: symbol without CONFIG_ -> value."""
    unknown: tuple[str, ...]
    """The symbols that the sources export nowhere, as far as their text says."""


def imports_of(images: Iterable[ModuleImage]) -> set[str]:
    """The symbols that `images` import, but those that they export to each other."""
    images = list(images)
    names = {symbol.name for image in images for symbol in image.symbols}
    exported = {name.removeprefix(_EXPORTED) for name in names if name.startswith(_EXPORTED)}
    return {symbol.name for image in images for symbol in image.undefined} - exported


def options_for(symbols: Iterable[str], source: KernelSource, srcarch: str, have: Mapping[str, str]) -> NeededOptions:
    """The options that a kernel with the options `have` needs besides, to export `symbols`."""
    files = exporting_files(source, srcarch)
    wanted: dict[str, str] = {}
    unknown = []
    for symbol in sorted(symbols):
        if symbol not in files:
            unknown.append(symbol)
            continue
        if any(file.startswith(_OF_COMPILED_CODE) for file in files[symbol]):
            continue
        missing = [_missing(source, file, have) for file in files[symbol]]
        # (of several files that could export it, the one that takes the least)
        least: list[str] = min(missing, key=len)
        wanted.update(dict.fromkeys(least, "y"))
    if not wanted:
        return NeededOptions({}, tuple(unknown))
    kconfig = read_kconfig(source, srcarch)
    found = with_dependencies(wanted, kconfig, have)
    # (an option without a prompt comes with the one that selects it)
    return NeededOptions({name: value for name, value in found.items() if kconfig[name].has_prompt}, tuple(unknown))


def _missing(source: KernelSource, file: str, have: Mapping[str, str]) -> list[str]:
    """The fewest options without CONFIG_ that `file` takes and `have` lacks."""
    ways = [
        sorted(name for option in way if have.get(name := option.removeprefix("CONFIG_"), "n") not in {"y", "m"})
        for way in ways_to_compile(source.path, file)
    ]
    return min(ways, key=len, default=[])
