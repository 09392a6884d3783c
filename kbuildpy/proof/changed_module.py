# SPDX-License-Identifier: GPL-2.0-only
"""In which sections and symbols two modules differ."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from kbuildpy.elf.constants import SHT_NOBITS
from kbuildpy.elf.image import ModuleImage
from kbuildpy.elf.sections import Section
from kbuildpy.errors import KbuildError

_MOST_SYMBOLS = 20


@dataclass(frozen=True)
class SectionDifference:
    """A section that differs."""

    section: str
    """Its name; "" for what is no section, such as the headers of the file."""
    what: str
    """`differs`, `only in the module` or `only in the rebuilt one`."""
    symbols: tuple[str, ...]
    """The functions and objects in it that differ, or that only one of the two has."""


def changed_sections(module: bytes, rebuilt: bytes) -> list[SectionDifference]:
    """The sections in which `module` and `rebuilt`, both without signatures, differ; none if they are equal."""
    if module == rebuilt:
        return []
    try:
        ours, theirs = ModuleImage(module, "the module"), ModuleImage(rebuilt, "the rebuilt module")
    except KbuildError as error:
        return [SectionDifference("", f"differs: {error.message}", ())]
    one, other = dict(_named(ours)), dict(_named(theirs))
    found = []
    for name in [*one, *(name for name in other if name not in one)]:
        if name not in other:
            found.append(SectionDifference(name[0], "only in the module", ()))
        elif name not in one:
            found.append(SectionDifference(name[0], "only in the rebuilt one", ()))
        elif _contents(ours, one[name]) != _contents(theirs, other[name]):
            symbols = tuple(_changed_symbols(ours, one[name], theirs, other[name]))
            found.append(SectionDifference(name[0], "differs", symbols[:_MOST_SYMBOLS]))
    return found or [SectionDifference("", "differs in headers or in the order of sections only", ())]


def _named(image: ModuleImage) -> Iterator[tuple[tuple[str, int], Section]]:
    """The sections by name; of several with one name the number tells them apart."""
    counts: dict[str, int] = {}
    for section in image.sections[1:]:
        number = counts[section.name] = counts.get(section.name, -1) + 1
        yield (section.name, number), section


def _contents(image: ModuleImage, section: Section) -> tuple[int, int, bytes]:
    return (section.type, section.size, image.section_data(section))


def _changed_symbols(ours: ModuleImage, one: Section, theirs: ModuleImage, other: Section) -> Iterator[str]:
    if one.type == SHT_NOBITS:
        return
    before, after = _symbols(ours, one), _symbols(theirs, other)
    for name in [*before, *(name for name in after if name not in before)]:
        if before.get(name) != after.get(name):
            yield name


def _symbols(image: ModuleImage, section: Section) -> dict[str, bytes]:
    """The contents of the functions and objects in a section."""
    contents = image.section_data(section)
    try:
        return {
            symbol.name: contents[symbol.value : symbol.value + symbol.size]
            for symbol in image.symbols
            if symbol.shndx == section.index and symbol.size and symbol.name
        }
    except KbuildError:
        return {}
