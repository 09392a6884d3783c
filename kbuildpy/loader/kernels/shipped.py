# SPDX-License-Identifier: GPL-2.0-only
"""Reads facts from the modules that a kernel was installed with: exports, vermagic, and the layout of `struct module`.

The facts are kept in the user's cache. They are read again if the name, size or modification time of a file changes.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from hashlib import blake2b
from pathlib import Path
from typing import Any, NamedTuple

from kbuildpy.elf import ModuleImage, Section
from kbuildpy.elf.kernel_symbol import field_size
from kbuildpy.errors import KbuildError
from kbuildpy.kernel.cache import cache_directory, read_json, write_json
from kbuildpy.kernel.depmod_indexes import SYMBOLS, exporting_modules
from kbuildpy.kernel.module_facts import ModuleFacts, ModuleStruct
from kbuildpy.kernel.module_files import module_name, read_module, walk_modules
from kbuildpy.kernel.symvers import format_symvers
from kbuildpy.loader.kernels.vmlinux import TABLES, SymversRow, crcs_of, flags_of
from kbuildpy.loader.module_file import THIS_MODULE

NAME_LENGTH = 56
"""MODULE_NAME_LEN of 64-bit kernels (include/linux/moduleparam.h: 64 - sizeof(unsigned long))."""


class Shipped(NamedTuple):
    """The facts from the modules of a kernel."""

    facts: ModuleFacts | None
    """vermagic and the layout of `struct module`; None if no module has both an init and an exit function."""
    symvers: str
    """The exports of all modules, in the format of Module.symvers."""


def read_shipped(directory: Path) -> Shipped:
    """Return the facts from the modules of `directory` (`.../lib/modules/RELEASE`).

    The first call decompresses all modules with exports; later ones read the cache. Raises `KbuildError` for a damaged
    module.
    """
    files = list(walk_modules(directory / "kernel"))
    cached = _cached(directory, files)
    known = read_json(cached)
    if isinstance(known, dict) and known.keys() == {"facts", "symvers"}:
        return Shipped(_facts_from_json(known["facts"]), known["symvers"])
    found = _read_all(directory, files)
    write_json(cached, found._asdict())
    return found


def facts_of_modules(directory: Path) -> ModuleFacts | None:
    """Return vermagic and layout from the first module of `directory` that shows both, without reading the next ones;
    None if no module does."""
    files = walk_modules(directory / "kernel")
    images = (ModuleImage(read_module(Path(file)), file) for file in files)
    return next(filter(None, map(module_facts_of, images)), None)


def module_facts_of(image: ModuleImage) -> ModuleFacts | None:
    """Return vermagic and layout from a linked module (.ko); None if it has no `struct module`, name or vermagic, or
    not both an init and an exit function."""
    section, name = image.section(THIS_MODULE), image.modinfo_values("name")
    vermagic = image.modinfo_values("vermagic")
    if section is None or len(name) != 1 or len(vermagic) != 1:
        return None
    symbols = image.symbols
    places = {symbols.name(item.symbol): item.offset for item in image.relocations_of(section)}
    start = image.section_data(section).find(name[0].encode("utf-8", "surrogateescape") + b"\0")
    if start < 0 or not {"init_module", "cleanup_module"} <= places.keys():
        return None
    layout = ModuleStruct(section.size, (start, NAME_LENGTH), places["init_module"], places["cleanup_module"])
    return ModuleFacts(vermagic[0], layout)


def module_exports(image: ModuleImage, owner: str) -> Iterator[SymversRow]:
    """Yield the exports of a linked module (.ko), read from the sections that the kernel uses, as rows of a symvers
    file.

    `owner` is the module as the rows name it. Raises `KbuildError` for sections whose numbers of entries differ, and
    for an entry without a name.
    """
    for table in TABLES:
        section = image.section(table.symbols)
        if section is None:
            continue
        field = field_size(image.header.e_machine)
        count = section.size // (3 * field)
        try:
            crcs = crcs_of(_contents(image, table.crcs), count, image.header.order, table.crcs)
            gpl_only = flags_of(_contents(image, table.flags), count, table)
        except KbuildError as error:
            raise KbuildError(f"{image.filename}: {error.message}") from error
        strings = _strings(image, section)
        for number, (crc, gpl) in enumerate(zip(crcs, gpl_only, strict=True)):
            place = number * 3 * field
            if place + field not in strings:
                raise KbuildError(f"{image.filename}: section {table.symbols}: entry {number} has no name")
            macro = "EXPORT_SYMBOL_GPL" if gpl else "EXPORT_SYMBOL"
            yield crc, strings[place + field], owner, macro, strings.get(place + 2 * field, "")


def _strings(image: ModuleImage, section: Section) -> dict[int, str]:
    """The names and namespaces in a section of exports, by the offset of the field that points to them."""
    rows = image.symbols.rows
    found = {}
    for item in image.relocations_of(section):
        if item.offset % (3 * field_size(image.header.e_machine)) and item.symbol < len(rows):
            _, _, _, _, st_value, _ = rows[item.symbol]
            found[item.offset] = image.string_at(image.symbols.section_index(item.symbol), st_value + item.addend)
    return found


def _contents(image: ModuleImage, name: str) -> bytes:
    section = image.section(name) if name else None
    return b"" if section is None else image.section_data(section)


def _read_all(directory: Path, files: list[str]) -> Shipped:
    exporting = exporting_modules(directory)
    facts = None
    rows: dict[str, SymversRow] = {}
    for file in files:
        if facts is not None and exporting is not None and module_name(file) not in exporting:
            continue
        contents = read_module(Path(file))
        if facts is not None and b"__ksymtab" not in contents:
            continue
        image = ModuleImage(contents, file)
        facts = facts or module_facts_of(image)
        owner = file[len(f"{directory}/kernel/") : file.rindex(".ko")]
        for row in module_exports(image, owner):
            _, symbol, *_ = row
            rows.setdefault(symbol, row)
    return Shipped(facts, "".join(format_symvers(rows.values())))


def _cached(directory: Path, files: list[str]) -> Path:
    seen = blake2b(f"shipped 1\n{directory}\n".encode(errors="surrogateescape"), digest_size=16)
    listing = directory / SYMBOLS
    for file in [*files, str(listing)] if listing.is_file() else files:
        status = os.stat(file)  # noqa: PTH116 - thousands of them; Path costs more than the call
        seen.update(f"{file}\0{status.st_mtime_ns} {status.st_size}\n".encode(errors="surrogateescape"))
    return cache_directory() / "shipped" / f"{seen.hexdigest()}.json"


def _facts_from_json(value: Any) -> ModuleFacts | None:
    if value is None:
        return None
    vermagic, (size, (name, length), init, exit) = value
    return ModuleFacts(vermagic, ModuleStruct(size, (name, length), init, exit))
