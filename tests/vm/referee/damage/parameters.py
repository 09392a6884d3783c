# SPDX-License-Identifier: GPL-2.0-only
"""What a module may be given as parameters (kernel/params.c)."""

from __future__ import annotations

from collections.abc import Iterator

from tests.vm.referee.cases import THIS_MODULE, Bases, Case
from tests.vm.referee.damage.coming import ELSEWHERE
from tests.vm.referee.damage.relocate import ABS64, PC32
from tests.vm.referee.damage.ways import SHF_ALLOC, Damage, case, data, leads, new_relocation, relocation, section
from tests.vm.referee.draft import Draft

PARAMETER_SIZE = 40
MODULE, OPS, PERM, FLAGS, ARG = 8, 16, 24, 27, 32
"""Where these are in struct kernel_param."""
IMPORTED, FAR = "insert_resource_expand_to_fit", 1 << 60
"""A function of the kernel that the module uses, and a distance to where nothing is."""
SET, FREE = 8, 24
"""Where these are in struct kernel_param_ops."""
ARGUMENTS = (
    "number=5",
    "number=-5",
    "number=0x10",
    "number=010",
    "number=x",
    "number=",
    "number",
    "number=5x",
    "number=2147483647",
    "number=2147483648",
    "number=99999999999999999999",
    "number=5 number=6",
    "number=x number=5",
    "num-ber=5",
    "small=255",
    "small=256",
    "small=-1",
    "loud",
    "loud=",
    "loud=y",
    "loud=0",
    "loud=on",
    "loud=maybe",
    "fixed=1234567",
    "fixed=12345678",
    "fixed",
    "many=1",
    "many=1,2,3,4",
    "many=1,2,3,4,5",
    "many=1,,2",
    "many=",
    "many",
    "many=1,x",
    "who=me",
    'who="you and me"',
    'who="you',
    '"who=you and me"',
    "who",
    "who=" + "w" * 1023,
    "who=" + "w" * 1024,
    "who=" + "w" * 1025,
    "unknown",
    "unknown=1",
    "unknown=1 number=x",
    "=1",
    "-- number=x",
    "number=1 -- rest of it",
    "--",
    "number=1 --",
    "async_probe",
    "async_probe=0",
    "async_probe=maybe",
    "rich.number=5",
    "dyndbg",
    "dyndbg=+p",
    "dyndbg=",
    "dyndbg=+x",
    "dyndbg=file",
    'dyndbg="func \'x +p"',
    'dyndbg="a b c d e f g h i j +p"',
    'dyndbg="func +p"',
    'dyndbg="nothing x +p"',
    'dyndbg="func a func b +p"',
    'dyndbg="line 1 line 2 +p"',
    'dyndbg="line 9-2 +p"',
    'dyndbg="line x +p"',
    "\t number=1 \t",
    "number =5",
    "number= 5",
)


def cases(bases: Bases) -> Iterator[Case]:
    """All of them, to a module that has such parameters."""
    for arguments in ARGUMENTS:
        yield Case(f"parameters/{arguments[:30]!r} ({len(arguments)})", bases.still, arguments)
    yield from _variables(bases.still)
    yield from _tables(bases.still)
    yield Case("parameters/of a module that has none", bases.other, "number=1", needs=(bases.quiet,))


def _variables(still: bytes) -> Iterator[Case]:
    """Where a variable is not, with an argument and without."""
    for name, value in (("who", "me"), ("number", "5")):
        arg = _field(still, name, ARG)
        for arguments in ("", f"{name}={value}"):
            said = f"({arguments})" if arguments else "(not set)"
            for where, more in ELSEWHERE.items():
                damaged = (more, leads("__param", arg, -1))
                yield case(f"parameters/{name} {where} {said}", still, *damaged, args=arguments)
            for to, at in ((THIS_MODULE, 8), (".data..percpu", 0)):
                yield case(f"parameters/{name} in {to} {said}", still, leads("__param", arg, to, at), args=arguments)
            nobodys = leads("__param", arg, 0)
            yield case(f"parameters/{name} is nobody's {said}", still, nobodys, args=arguments)


def _tables(still: bytes) -> Iterator[Case]:
    """What describes a parameter."""
    number = _field(still, "number", 0)
    for arguments in ("", "number=5"):
        said = f"({arguments})" if arguments else "(not set)"
        elsewhere = (ELSEWHERE["in read-only memory"], leads("__param", number + MODULE, -1))
        yield case(f"parameters/of no module {said}", still, *elsewhere, args=arguments)
        odd = _relocated_as(number + ARG, PC32)
        yield case(f"parameters/half an address {said}", still, odd, args=arguments)
        for what, function in (("set", SET), ("free", FREE)):
            ops = section(".ops", bytes(32), sh_flags=SHF_ALLOC, sh_addralign=8)
            no_code = (
                ops, new_relocation(".ops", function, ABS64, "rich_plain"), leads(".ops", function, ".data"),
                leads("__param", number + OPS, ".ops"),
            )  # fmt: skip
            yield case(f"parameters/what is to {what} it is data {said}", still, *no_code, args=arguments)
    count = (ELSEWHERE["in read-only memory"], leads(*_count_of_many(still), -1))
    for arguments in ("many=x", "many=1", "number=x"):
        yield case(f"parameters/a read-only number of elements ({arguments})", still, *count, args=arguments)
    for distance in (8, 1 << 60):
        yield case(f"parameters/operations {distance:#x} further", still, _moved(number + OPS, distance))
    for name in ("fixed", "small"):
        (also,) = [row for row in Draft(still).relocations("__param") if row[0] == number]
        renamed = _field(still, name, 0)
        as_number = relocation("__param", _row(still, renamed), symbol=also[2], addend=also[3])
        yield case(f"parameters/{name} is called number too", still, as_number)
    yield from _declarations(still, number)
    refused = (leads("__param", _field(still, "who", ARG), 0),)
    yield case("parameters/who is nobody's (number=x)", still, *refused, args="number=x")


def _declarations(still: bytes, number: int) -> Iterator[Case]:
    """What the source of a module can get wrong, and names that no source has."""
    yield case("parameters/permissions 0777 (not set)", still, data("__param", number + PERM, b"\xff\x01"))
    yield case(
        "parameters/it is marked as unsafe (number=5)", still, data("__param", number + FLAGS, b"\1"), args="number=5"
    )
    nobodys = leads("__param", number + OPS, 0)
    yield case("parameters/its operations are nobody's (not set)", still, nobodys)
    outside = leads("__param", number + OPS, ".data", 1 << 24)
    yield case("parameters/its operations are outside of a section (number=5)", still, outside, args="number=5")
    who = relocation(
        "__param", _row(still, _field(still, "who", ARG)), symbol=Draft(still).symbol(IMPORTED), addend=FAR
    )
    yield case("parameters/the variable of a string is far from any module (not set)", still, who)
    far = relocation("__param", _row(still, number + ARG), symbol=Draft(still).symbol(IMPORTED), addend=FAR)
    yield case("parameters/its variable is far from any module (number=5)", still, far, args="number=5")
    dropped = section(".dropped", b"number\0", sh_addralign=16)
    yield case(
        "parameters/its name is in a section that is not kept (not set)", still, dropped, leads("__param", number, -1)
    )
    endless = section(".endless", b"n" * 8, sh_flags=SHF_ALLOC, sh_addralign=16)
    yield case(
        "parameters/its name has no end (number=5)", still, endless, leads("__param", number, -1), args="number=5"
    )


def _field(still: bytes, name: str, field: int) -> int:
    """Where `field` of the parameter called `name` is in __param."""
    draft = Draft(still)
    symbols = draft.symbols()
    for offset, _, symbol, addend in draft.relocations("__param"):
        section = draft.sections[symbols[symbol][3]]
        text = draft.data(section)[symbols[symbol][4] + addend :]
        if offset % PARAMETER_SIZE == 0 and text.startswith(name.encode() + b"\0"):
            return offset + field
    raise KeyError(name)


def _row(still: bytes, offset: int) -> int:
    """Which of the relocations of __param is for `offset`."""
    return next(index for index, row in enumerate(Draft(still).relocations("__param")) if row[0] == offset)


def _count_of_many(still: bytes) -> tuple[str, int]:
    """Where the description of the array `many` points to its number of elements: section and offset."""
    draft = Draft(still)
    arg = _field(still, "many", ARG)
    (row,) = [row for row in draft.relocations("__param") if row[0] == arg]
    _, _, _, shndx, value, _ = draft.symbols()[row[2]]
    return draft.name_of(draft.sections[shndx]), value + row[3] + 8


def _moved(offset: int, distance: int) -> Damage:
    """The relocation of __param for `offset` leads further."""

    def write(draft: Draft) -> None:
        rows = draft.relocations("__param")
        (row,) = [row for row in rows if row[0] == offset]
        row[3] += distance
        draft.set_relocations("__param", rows)

    return write


def _relocated_as(offset: int, type_: int) -> Damage:
    """The relocation of __param for `offset` is of another type."""

    def write(draft: Draft) -> None:
        rows = [[*row[:1], type_, *row[2:]] if row[0] == offset else row for row in draft.relocations("__param")]
        draft.set_relocations("__param", rows)

    return write
