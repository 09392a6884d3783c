# SPDX-License-Identifier: GPL-2.0-only
"""Turns device tables into module aliases (scripts/mod/file2alias.c: handle_moddevtable, do_table).

MODULE_DEVICE_TABLE() in a driver gives an array of device-id structs a symbol whose name has the kind of the table.
Each entry becomes one alias or several; the last entry, the terminator, must be all zeros. `device_tables` describes
the kinds of tables.
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
    """The parts of the name of a device table's symbol."""

    device_id: str
    """The kind of the table: `pci`."""
    array: str
    """The name of the array in the driver."""


@dataclass
class Aliases:
    """Collects the aliases of one module."""

    unique: bool
    """Drop an alias that was added before (since 6.13)."""
    log: Log
    found: list[str] = field(default_factory=list)
    """The aliases, in the order of the tables."""
    _seen: set[str] = field(default_factory=set)

    def add(self, alias: str) -> None:
        """Append `alias`. Raises `Fatal` if its line in the `.mod.c` is too long (`check_line`), unless `unique`."""
        if not self.unique:
            check_line(self.log, alias_line(alias))
        elif alias in self._seen:
            return
        else:
            self._seen.add(alias)
        self.found.append(alias)


def alias_line(alias: str) -> str:
    """The line of the `.mod.c` for `alias`."""
    return f'MODULE_ALIAS("{alias}");\n'


def table_name(symbol: str, dialect: Dialect) -> TableName | None:
    """Parse the name of a device table's symbol (handle_moddevtable); None for the name of another symbol."""
    if dialect.device_table_prefix:
        if not symbol.startswith(LATER_PREFIX):
            return None
        rest = symbol[len(LATER_PREFIX) :]
        found_type = "__"
        if dialect.device_table_modname:
            _, _, rest = symbol.partition("__kmod_")
            _, found_type, rest = rest.partition("__")
        device_id, found_name, array = rest.partition("__")
        return TableName(device_id, array) if found_type and found_name else None
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
    """Add the aliases of the device table that `symbol` names, if this kernel knows a table of that kind.

    `layouts` is called only for a known table. For a table of a wrong size or without terminator, up to 6.12 raises
    `Fatal`, later logs an error (device_id_check). Raises `KbuildError` for a table that reaches beyond its section.
    """
    if not 0 < symbol.shndx < len(image.sections) or symbol.type != STT_OBJECT:
        return
    name = table_name(symbol.name, dialect)
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
    if table.dialect.device_table_prefix:
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
LATER_PREFIX = "__mod_device_table__"
