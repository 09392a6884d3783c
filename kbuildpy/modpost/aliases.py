# SPDX-License-Identifier: GPL-2.0-only
"""Device tables to module aliases: the engine (scripts/mod/file2alias.c: handle_moddevtable, do_table).

A driver's MODULE_DEVICE_TABLE leaves an array of device-id structs with a telling symbol name. Each entry but
the last, which must be all zeros, becomes one alias or a few. What a table means is in `device_tables`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from kbuildpy.elf import ModuleImage, Symbol
from kbuildpy.elf.constants import SHT_NOBITS, STT_OBJECT
from kbuildpy.errors import KbuildError
from kbuildpy.modpost.device_tables import TABLES
from kbuildpy.modpost.diagnostics import Log, check_line
from kbuildpy.modpost.layouts import DeviceTableLayouts
from kbuildpy.modpost.table_entry import TableContents, TableEntry
from kbuildpy.modpost.versions import Dialect

Layouts = Callable[[], DeviceTableLayouts]


@dataclass(frozen=True)
class TableName:
    """What a device table's symbol says: the kind of table, and the array's name in the driver."""

    device_id: str
    array: str


@dataclass
class Aliases:
    """The aliases of one module, in order; `unique` drops one that is there already (7.3)."""

    unique: bool
    log: Log
    found: list[str] = field(default_factory=list)
    _seen: set[str] = field(default_factory=set)

    def add(self, alias: str) -> None:
        """Append `alias`."""
        if not self.unique:
            check_line(self.log, alias_line(alias))
        elif alias in self._seen:
            return
        else:
            self._seen.add(alias)
        self.found.append(alias)


def alias_line(alias: str) -> str:
    """An alias as the `.mod.c` has it."""
    return f'MODULE_ALIAS("{alias}");\n'


def table_name(symbol: str, *, with_modname: bool) -> TableName | None:
    """Take a device table's symbol name apart; None for the name of another symbol."""
    if with_modname:
        if not symbol.startswith(PREFIX_MODNAME):
            return None
        _, found, rest = symbol.partition("__kmod_")
        _, found_type, rest = rest.partition("__")
        device_id, found_name, array = rest.partition("__")
        return TableName(device_id, array) if found and found_type and found_name else None
    if not symbol.startswith(PREFIX) or not symbol.endswith(SUFFIX):
        return None
    device_id, found, array = symbol[len(PREFIX) :].partition("__")
    return TableName(device_id, array[: -len(SUFFIX)]) if found else None


def add_table(
    aliases: Aliases,
    image: ModuleImage,
    symbol: Symbol,
    module: str,
    dialect: Dialect,
    layouts: Layouts,
) -> None:
    """Add the aliases of the device table that `symbol` marks, if it marks one that this kernel knows.

    `layouts` is called only then. A table of the wrong size or without its terminator ends modpost up
    to 6.18 and is an error later.
    """
    if not 0 < symbol.shndx < len(image.sections) or symbol.type != STT_OBJECT:
        return
    name = table_name(symbol.name, with_modname=dialect.device_table_modname)
    table = TABLES.get(name.device_id) if name is not None else None
    if name is None or table is None or not dialect.has_table(name.device_id):
        return
    layout = layouts().structs.get(table.struct)
    if layout is None:
        return
    table_contents = TableContents(
        _contents(image, symbol),
        layout,
        "little" if image.header.order == "<" else "big",
        8 if image.header.is_64bit else 4,
        module,
        dialect,
        aliases.log,
    )
    if _check(table_contents, name, label=table.label or name.device_id):
        for index in range(len(table_contents)):
            for alias in table.aliases(TableEntry(table_contents, index)):
                aliases.add(alias)


def _contents(image: ModuleImage, symbol: Symbol) -> bytes:
    section = image.sections[symbol.shndx]
    if symbol.value + symbol.size > section.size:
        raise KbuildError(f"{image.filename}: section {section.name}: {symbol.name} reaches beyond its end")
    if section.type & SHT_NOBITS:
        return bytes(symbol.size)
    start = section.offset + symbol.value
    return image.contents[start : start + symbol.size]


def _check(table: TableContents, name: TableName, *, label: str) -> bool:
    size, id_size, module, log = len(table.contents), table.layout.size, table.module, table.log
    fits = size >= id_size and size % id_size == 0
    last = table.contents[size - id_size :] if fits else b""
    if table.dialect.device_table_modname:
        if not fits:
            log.error(
                f"{module}: type mismatch between {name.array}[] and MODULE_DEVICE_TABLE({name.device_id}, ...)\n"
            )
        elif last.strip(b"\0"):
            log.error(f"{module}: {name.array}[] is not terminated with a NULL entry\n")
            return False
        return fits
    if not fits:
        raise log.fatal(
            f"{module}: sizeof(struct {label}_device_id)={id_size} is not a modulo of the size of section "
            f"__mod_{label}__<identifier>_device_table={size}.\n"
            f"Fix definition of struct {label}_device_id in mod_devicetable.h\n"
        )
    if last.strip(b"\0"):
        shown = "".join(f"0x{byte:02x} " for byte in last)
        raise log.fatal(
            f"{module}: struct {label}_device_id is not terminated with a NULL entry!\n",
            before=f"{module}: struct {label}_device_id is {id_size} bytes.  "
            f"The last of {size // id_size} is:\n{shown}\n",
        )
    return True


PREFIX = "__mod_"
SUFFIX = "_device_table"
PREFIX_MODNAME = "__mod_device_table__"
