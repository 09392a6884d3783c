# SPDX-License-Identifier: GPL-2.0-only
"""The ways to damage a module, as values: each is a function that does it to a draft."""

from __future__ import annotations

import struct
from collections.abc import Callable

from tests.vm.referee.cases import Case
from tests.vm.referee.draft import Draft

Damage = Callable[[Draft], object]

SHF_WRITE, SHF_ALLOC, SHF_EXECINSTR = 1, 2, 4


def case(
    name: str,
    base: bytes,
    *damages: Damage,
    args: str = "",
    needs: tuple[bytes, ...] = (),
    call: str = "finit",
) -> Case:
    """`base` with all of `damages` done to it, one after the other."""
    return Case(name, damaged(base, *damages), args, needs, call)


def damaged(base: bytes, *damages: Damage) -> bytes:
    """The same as bytes."""
    draft = Draft(base)
    for damage in damages:
        damage(draft)
    return draft.file()


def ehdr(field: str, value: int) -> Damage:
    """Write a field of the ELF header."""
    return lambda draft: draft.set_ehdr(field, value)


def shdr(name: str | int, **fields: int) -> Damage:
    """Write fields of the header of a section, given by name or number."""

    def write(draft: Draft) -> None:
        section = draft.sections[name] if isinstance(name, int) else draft.section(name)
        for field, value in fields.items():
            setattr(section, field, value)

    return write


def rename(old: str, new: str) -> Damage:
    """Give a section another name."""
    return lambda draft: draft.rename(old, new)


def section(name: str, contents: bytes = b"", **fields: int) -> Damage:
    """Add a section."""
    return lambda draft: draft.add(name, contents, **fields)


def again(name: str, **fields: int) -> Damage:
    """Add a section that is like the one called `name`."""

    def copy(draft: Draft) -> None:
        first = draft.section(name)
        kept = {field: getattr(first, field) for field in ("sh_type", "sh_flags", "sh_link", "sh_info", "sh_addralign")}
        draft.add(name, draft.data(first), **{**kept, **fields})

    return copy


def data(name: str, offset: int, contents: bytes) -> Damage:
    """Write over a part of a section's contents; counted from the end if `offset` is negative."""

    def write(draft: Draft) -> None:
        draft.patch(name, offset if offset >= 0 else draft.section(name).sh_size + offset, contents)

    return write


def contents(name: str, new: bytes) -> Damage:
    """Give a section other contents."""
    return lambda draft: draft.put(draft.section(name), new)


def resized(name: str, change: int) -> Damage:
    """Change the size of a section in its header, and nothing else."""

    def write(draft: Draft) -> None:
        draft.section(name).sh_size += change

    return write


def info(tag: str, *values: str) -> Damage:
    """Give `tag` of .modinfo these values, at its end; none takes it out."""
    return lambda draft: draft.set_modinfo([*draft.without(tag), *(f"{tag}={value}" for value in values)])


def called(name: str) -> Damage:
    """Give the module another name, in .modinfo and in struct module; of at most 55 letters."""

    def write(draft: Draft) -> None:
        info("name", name)(draft)
        struct_name(name.encode())(draft)

    return write


def struct_name(name: bytes) -> Damage:
    """Write over the name in struct module, which has 56 bytes for it."""

    def write(draft: Draft) -> None:
        old = next(entry for entry in draft.modinfo() if entry.startswith("name="))
        this_module = draft.section(".gnu.linkonce.this_module")
        known = old.removeprefix("name=").encode()
        # the name comes after a state and the links of a list
        word = 8 if draft.is_64bit else 4
        start = draft.data(this_module).index(known) if known in draft.data(this_module) else 3 * word
        room = 64 - word
        draft.patch(".gnu.linkonce.this_module", start, name.ljust(room, b"\0")[:room])

    return write


def symbol(name: str, **fields: int) -> Damage:
    """Write fields of a symbol (name, info, other, shndx, value, size)."""
    return lambda draft: draft.set_symbol(name, **fields)


def new_symbol(name: str, *, info: int = 0x10, shndx: int = 0, value: int = 0) -> Damage:
    """Add a symbol."""
    return lambda draft: draft.add_symbol(name, info=info, shndx=shndx, value=value)


def relocation(target: str, index: int, **fields: int) -> Damage:
    """Write fields (offset, type, symbol, addend) of a relocation of section `target`."""

    def write(draft: Draft) -> None:
        rows = draft.relocations(target)
        for field, value in fields.items():
            rows[index][("offset", "type", "symbol", "addend").index(field)] = value
        draft.set_relocations(target, rows)

    return write


def new_relocation(target: str, offset: int, type_: int, symbol: int | str, addend: int = 0) -> Damage:
    """Add a relocation of section `target`; its symbol is given by name or number."""

    def write(draft: Draft) -> None:
        number = symbol if isinstance(symbol, int) else draft.symbol(symbol)
        try:
            rows = draft.relocations(target)
        except KeyError:
            rows = []
        draft.set_relocations(target, [*rows, [offset, type_, number, addend]])

    return write


def unrelocated(table: str, offset: int) -> Damage:
    """Take the relocation for `offset` of `table` out."""

    def write(draft: Draft) -> None:
        draft.set_relocations(table, [row for row in draft.relocations(table) if row[0] != offset])

    return write


def leads(table: str, offset: int, to: str | int | None, at: int = 0) -> Damage:
    """Have the relocation of `table` for `offset` make a pointer to `at` bytes into section `to`, given by name or
    number (-1: the last); into section 0 is where a weak symbol leads that nobody has, None is symbol 0."""

    def write(draft: Draft) -> None:
        number = 0
        if to is not None:
            shndx = draft.number(to) if isinstance(to, str) else to % len(draft.sections)
            number = draft.add_symbol("" if shndx else "__SCK__nobody", info=0x20, shndx=shndx)
        rows = draft.relocations(table)
        (row,) = [row for row in rows if row[0] == offset]
        row[2], row[3] = number, at
        draft.set_relocations(table, rows)

    return write


def version(name: str, crc: int | None) -> Damage:
    """Give `name` another CRC in __versions; None takes it out."""

    def write(draft: Draft) -> None:
        table = draft.data(draft.section("__versions"))
        rows = [table[at : at + 64] for at in range(0, len(table), 64)]
        word = 8 if draft.is_64bit else 4
        of_name = [row for row in rows if row[word:].split(b"\0")[0].decode() == name]
        others = [row for row in rows if row not in of_name]
        if crc is not None:
            form = f"{draft.order}Q56s" if draft.is_64bit else f"{draft.order}I60s"
            others.append(struct.pack(form, crc & ((1 << 8 * word) - 1), name.encode()))
        draft.put(draft.section("__versions"), b"".join(others))

    return write
