# SPDX-License-Identifier: GPL-2.0-only
"""What is wrong with the versions of symbols (kernel/module/version.c)."""

from __future__ import annotations

import struct
from collections.abc import Iterator

from tests.vm.referee.cases import Bases, Case
from tests.vm.referee.damage.ways import (
    SHF_ALLOC,
    case,
    contents,
    damaged,
    data,
    info,
    rename,
    resized,
    section,
    shdr,
    version,
)
from tests.vm.referee.draft import Draft


def cases(bases: Bases) -> Iterator[Case]:
    """All of them; for a kernel without modversions those that it looks at all the same."""
    yield from _extended(bases.quiet)
    if bases.has_versions:
        yield from _layout(bases.quiet)
        yield from _symbols(bases)
        yield from _table(bases.quiet)
        yield from _exports(bases)


def _extended(quiet: bytes) -> Iterator[Case]:
    crcs, names = "__version_ext_crcs", "__version_ext_names"
    yield case("extended versions/no names", quiet, section(crcs, bytes(8), sh_flags=SHF_ALLOC))
    yield case("extended versions/no numbers", quiet, section(names, b"kfree\0", sh_flags=SHF_ALLOC))
    yield case("extended versions/no names, not allocated", quiet, section(crcs, bytes(8)))
    for what, numbers, text in (
        ("both empty", 0, b""),
        ("as many", 1, b"kfree\0"),
        ("a name too few", 2, b"kfree\0"),
        ("a name too many", 1, b"kfree\0_printk\0"),
        ("the last has no end", 2, b"kfree\0_printk"),
        ("empty names", 3, bytes(3)),
        ("half a number more", 1.5, b"kfree\0"),
    ):
        tables = (section(crcs, bytes(int(4 * numbers)), sh_flags=SHF_ALLOC), section(names, text, sh_flags=SHF_ALLOC))
        yield case(f"extended versions/{what}", quiet, *tables)


def _layout(quiet: bytes) -> Iterator[Case]:
    yield case("versions/module_layout of another kernel", quiet, version("module_layout", 0x12345678))
    yield case("versions/no module_layout", quiet, version("module_layout", None))
    yield case("versions/module_layout and a wrong vermagic", quiet, version("module_layout", 1), info("vermagic", "x"))
    yield case("versions/module_layout of a module with another name", quiet, version("module_layout", 1), info("name"))
    yield case("versions/more than 32 bits", quiet, version("module_layout", 1 << 40))


def _symbols(bases: Bases) -> Iterator[Case]:
    for name in ("kfree", "_printk"):
        yield case(f"versions/{name} of another kernel", bases.quiet, version(name, 1))
        yield case(f"versions/no {name}", bases.quiet, version(name, None))
    both = (version("kfree", 1), version("_printk", None))
    yield case("versions/two are wrong", bases.quiet, *both)
    yield case("versions/two are wrong, modinfo has another name", bases.quiet, *both, info("name", "loud"))
    yield case("versions/one too many", bases.quiet, version("nobody_has_it", 1))
    needs = (bases.rich, bases.quiet)
    for name in ("rich_plain", "rich_gpl", "quiet_plain"):
        yield case(f"versions/{name} of another build", bases.user, version(name, 1), needs=needs)
        yield case(f"versions/no {name}", bases.user, version(name, None), needs=needs)


def _table(quiet: bytes) -> Iterator[Case]:
    draft = Draft(quiet)
    table, word = draft.data(draft.section("__versions")), 8 if draft.is_64bit else 4
    one = struct.pack(f"{draft.order}{'Q' if draft.is_64bit else 'I'}", 1)
    yield case("versions/empty", quiet, shdr("__versions", sh_size=0))
    yield case("versions/not allocated", quiet, shdr("__versions", sh_flags=0))
    yield case("versions/missing", quiet, rename("__versions", "__version"))
    yield case("versions/half an entry at the end", quiet, contents("__versions", table + table[:32]))
    yield case("versions/half an entry less", quiet, resized("__versions", -32))
    yield case("versions/each twice", quiet, contents("__versions", table * 2))
    wrong = b"".join(one + table[at + word : at + 64] for at in range(0, len(table), 64))
    yield case("versions/each twice, the first is wrong", quiet, contents("__versions", wrong + table))
    yield case("versions/each twice, the second is wrong", quiet, contents("__versions", table + wrong))
    yield case("versions/NOBITS", quiet, shdr("__versions", sh_type=8))
    yield case("versions/a name without an end", quiet, data("__versions", word, b"m" * (64 - word)))
    yield case("versions/zeros", quiet, contents("__versions", bytes(len(table))))


def _exports(bases: Bases) -> Iterator[Case]:
    plain = rename("__kcrctab", "__kcrctab_")
    gpl = rename("__kcrctab_gpl", "__kcrctab_gpl_")
    yield case("export versions/none", bases.quiet, plain, gpl)
    yield case("export versions/none for GPL-only ones", bases.quiet, gpl)
    yield case("export versions/not allocated", bases.quiet, shdr("__kcrctab", sh_flags=0))
    unversioned = damaged(bases.rich, plain, gpl)
    needs = (unversioned, bases.quiet)
    yield case("export versions/of the exporter", bases.user, needs=needs)
    yield case("export versions/of the exporter, and none wanted", bases.user, version("rich_plain", None), needs=needs)
    nothing = (rename("__ksymtab", "__ksymtab_"), rename("__ksymtab_gpl", "__ksymtab_gpl_"))
    yield case("export versions/nothing exported", bases.quiet, plain, gpl, *nothing)
