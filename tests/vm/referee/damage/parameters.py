"""What a module may be given as parameters (kernel/params.c)."""

from __future__ import annotations

from collections.abc import Iterator

from tests.vm.referee.cases import Bases, Case

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
    "\t number=1 \t",
    "number =5",
    "number= 5",
)


def cases(bases: Bases) -> Iterator[Case]:
    """All of them, to a module that has such parameters."""
    for arguments in ARGUMENTS:
        yield Case(f"parameters/{arguments[:30]!r} ({len(arguments)})", bases.still, arguments)
    yield Case("parameters/of a module that has none", bases.other, "number=1", needs=(bases.quiet,))
