# SPDX-License-Identifier: GPL-2.0-only
"""Damage at random: a field of a header, a symbol, a relocation, an entry of .modinfo or __versions, a type, the
signature.

A seed and a number make one module, the same every time. Code and data are left alone, and the modules have neither
init nor exit, and no constructors (those of sanitizers and of gcov are not run): nothing damaged ever runs.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random

from tests.vm.referee.cases import Bases, Case
from tests.vm.referee.damage.signature import signed_by_somebody
from tests.vm.referee.draft import EHDR_FIELDS, Draft

SHDR_FIELDS = {
    "sh_name": 32,
    "sh_type": 32,
    "sh_flags": 64,
    "sh_addr": 64,
    "sh_offset": 64,
    "sh_size": 64,
    "sh_link": 32,
    "sh_info": 32,
    "sh_addralign": 64,
    "sh_entsize": 64,
}
SYMBOL_WIDTHS = (32, 8, 8, 16, 64, 64)
RELOCATION_WIDTHS = (64, 32, 32, 63)
_BITS = {"B": 8, "H": 16, "I": 32, "Q": 64}


def mutations(bases: Bases, seed: int, count: int) -> list[Case]:
    """`count` modules for `seed`; each is named by seed and number, and says what was done to it."""
    return [mutation(bases, seed, number) for number in range(count)]


def mutation(bases: Bases, seed: int, number: int) -> Case:
    """Module `number` of `seed`."""
    random = Random(f"{seed}/{number}")
    base = random.choice(("quiet", "quiet", "quiet", "still"))
    contents = _without_constructors(bases.quiet if base == "quiet" else bases.still)
    typed = bases.typed if random.random() < 0.2 else None
    if typed is not None:
        draft = Draft(typed)
        what = "; ".join(_type(random, draft) for _ in range(random.choice((1, 1, 2))))
        return Case(f"random {seed}/{number} typed: {what}", draft.file())
    done = []
    if random.random() < 0.1:
        contents, what = _signature(random, contents)
        done.append(what)
    else:
        draft = Draft(contents)
        kinds = random.choices(_KINDS, k=random.choice((1, 1, 1, 2, 3)))
        # in this order, for with damaged headers the rest is not to be found
        done += [kind(random, draft) for kind in sorted(kinds, key=_KINDS.index)]
        contents = draft.file()
    return Case(f"random {seed}/{number} {base}: {'; '.join(done)}", contents)


def _without_constructors(contents: bytes) -> bytes:
    """The module with its list of constructors under a name that the kernel does not look for: what damaged code does
    when it runs is not the loader's verdict."""
    draft = Draft(contents)
    names = [name for name in (".init_array", ".ctors") if _has(draft, name)]
    for name in names:
        draft.rename(name, "constructors")
        draft.rename(f".rela{name}", ".relaconstructors")
    return draft.file() if names else contents


def _value(random: Random, old: int, bits: int, likely: tuple[int, ...]) -> int:
    """Another value for a field: a likely one, one beside the old, one at a limit, or any."""
    limit = 1 << bits
    return (
        random.choice(
            (
                random.choice(likely),
                old + random.choice((-1, 1, 8, -8)),
                old ^ 1 << random.randrange(bits),
                random.choice((0, 1, limit - 1, limit // 2, limit // 2 - 1)),
                random.randrange(limit),
            )
        )
        % limit
    )


def _ehdr(random: Random, draft: Draft) -> str:
    field = random.choice(list(EHDR_FIELDS))
    old = draft.ehdr(field)
    value = _value(random, old, _BITS[draft.ehdr_field(field)[1]], (len(draft.contents), len(draft.sections), 64))
    draft.set_ehdr(field, value)
    return f"{field} {old:#x} -> {value:#x}"


def _shdr(random: Random, draft: Draft) -> str:
    number = random.randrange(len(draft.sections))
    section, field = draft.sections[number], random.choice(list(SHDR_FIELDS))
    old = getattr(section, field)
    likely = (len(draft.contents), len(draft.sections), random.randrange(20), 1 << random.randrange(16))
    value = _value(random, old, SHDR_FIELDS[field] if draft.is_64bit else 32, likely)
    setattr(section, field, value)
    return f"section {number} {field} {old:#x} -> {value:#x}"


def _symbol(random: Random, draft: Draft) -> str:
    rows = draft.symbols()
    number, column = random.randrange(len(rows)), random.randrange(len(SYMBOL_WIDTHS))
    likely = (0, len(draft.sections), random.randrange(len(draft.sections)), 0xFFF1, 0xFFF2)
    old = rows[number][column]
    width = SYMBOL_WIDTHS[column] if draft.is_64bit else min(SYMBOL_WIDTHS[column], 32)
    rows[number][column] = value = _value(random, old, width, likely) % (1 << width)
    draft.set_symbols(rows)
    return f"symbol {number} field {column} {old:#x} -> {value:#x}"


# What is in these are pointers that the kernel follows: to another thing of the wrong kind, it would do anything.
_POINTERS = (
    "__jump_table",
    ".static_call_sites",
    "__tracepoints",
    "__tracepoints_ptrs",
    "___srcu_struct_ptrs",
    "__param",
    "__dyndbg",
    ".altinstructions",
    ".data",
)


def _relocation(random: Random, draft: Draft) -> str:
    names = [draft.name_of(section) for section in draft.sections if section.sh_type == 4 and section.sh_size]
    name = random.choice(names).removeprefix(".rela")
    rows = draft.relocations(name)
    number, column = random.randrange(len(rows)), random.randrange(2 if name in _POINTERS else len(RELOCATION_WIDTHS))
    likely = (random.randrange(45), random.randrange(len(draft.symbols())), random.randrange(0x100))
    old = rows[number][column]
    rows[number][column] = value = _value(random, old, RELOCATION_WIDTHS[column], likely)
    draft.set_relocations(name, rows)
    return f"relocation {number} of {name} field {column} {old:#x} -> {value:#x}"


def _modinfo(random: Random, draft: Draft) -> str:
    entries = draft.modinfo()
    number = random.randrange(len(entries))
    entry = entries[number]
    way = random.randrange(4)
    if way == 0:
        del entries[number]
        what = f"without {entry}"
    elif way == 1:
        entries.insert(number, random.choice(entries))
        what = f"{entries[number]} twice"
    else:
        place = random.randrange(len(entry))
        letter = chr(random.randrange(32, 127))
        entries[number] = entry[:place] + letter + entry[place + 1 :]
        what = entries[number]
    draft.set_modinfo(entries)
    return f"modinfo {what}"


def _bytes(random: Random, draft: Draft) -> str:
    names = [name for name in ("__versions", ".modinfo", ".shstrtab", ".strtab", ".BTF") if _has(draft, name)]
    name = random.choice(names)
    section = draft.section(name)
    if not section.sh_size:
        return f"nothing in {name}"
    # where unsound types are only warned of, they are not looked at: only the header is damaged
    size = min(section.sh_size, 24) if name == ".BTF" else section.sh_size
    place, value = random.randrange(size), random.randrange(256)
    draft.patch(name, place, bytes([value]))
    return f"byte {place} of {name} -> {value:#x}"


def _type(random: Random, draft: Draft) -> str:
    size = draft.section(".BTF").sh_size
    place, value = random.randrange(size), random.randrange(256)
    draft.patch(".BTF", place, bytes([value]))
    return f"byte {place} of {size} of the types -> {value:#x}"


def _signature(random: Random, contents: bytes) -> tuple[bytes, str]:
    signed = bytearray(signed_by_somebody(contents))
    place = random.randrange(len(contents), len(signed))
    signed[place] ^= 1 << random.randrange(8)
    return bytes(signed), f"signed, and byte {place - len(contents)} of the signature changed"


def _has(draft: Draft, name: str) -> bool:
    return any(draft.name_of(section) == name for section in draft.sections)


_KINDS: tuple[Callable[[Random, Draft], str], ...] = (
    _modinfo,
    _relocation,
    _relocation,
    _symbol,
    _symbol,
    _bytes,
    _shdr,
    _shdr,
    _shdr,
    _ehdr,
)
