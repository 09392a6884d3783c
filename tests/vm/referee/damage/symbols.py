# SPDX-License-Identifier: GPL-2.0-only
"""What is wrong with the symbols (simplify_symbols, resolve_symbol, verify_exported_symbols)."""

from __future__ import annotations

from collections.abc import Iterator

from tests.vm.referee.cases import Bases, Case
from tests.vm.referee.damage.ways import (
    SHF_ALLOC,
    Damage,
    called,
    case,
    damaged,
    data,
    info,
    new_symbol,
    rename,
    resized,
    section,
    shdr,
    symbol,
    version,
)
from tests.vm.referee.draft import Draft

WEAK, LOCAL, FUNCTION, OBJECT = 0x20, 0x00, 0x12, 0x11
ABSOLUTE, COMMON, LIVEPATCH, XINDEX = 0xFFF1, 0xFFF2, 0xFF20, 0xFFFF


def cases(bases: Bases) -> Iterator[Case]:
    """All of them."""
    yield from _unknown(bases.quiet)
    yield from _places(bases.quiet)
    yield from _gpl(bases)
    yield from _namespaces(bases)
    yield from _owners(bases)
    yield from _inheritance(bases)
    yield from _duplicates(bases)


def _unknown(quiet: bytes) -> Iterator[Case]:
    yield case("symbols/unknown", quiet, new_symbol("nobody_has_it"))
    yield case("symbols/three unknown", quiet, *map(new_symbol, ("nobody_a", "nobody_b", "nobody_c")))
    yield case("symbols/unknown and weak", quiet, new_symbol("nobody_has_it", info=WEAK))
    yield case("symbols/unknown and local", quiet, new_symbol("nobody_has_it", info=LOCAL))
    yield case("symbols/unknown, of a strange binding", quiet, new_symbol("nobody_has_it", info=0xA0))
    yield case("symbols/without a name", quiet, new_symbol(""))
    yield case("symbols/unknown, of 200 letters", quiet, new_symbol("n" * 200))
    yield case("symbols/unknown, of 900 letters", quiet, new_symbol("n" * 900))
    yield case("symbols/_GLOBAL_OFFSET_TABLE_", quiet, new_symbol("_GLOBAL_OFFSET_TABLE_"))
    yield case("symbols/what the module itself exports", quiet, new_symbol("quiet_plain"))
    yield case("symbols/one that is known and weak", quiet, symbol("kfree", info=WEAK))
    yield case("symbols/in the kernel, but not exported", quiet, new_symbol("load_module"))
    yield case("symbols/one has its name in the section headers", quiet, _name_in_headers)
    yield case("symbols/number 0 has a name", quiet, _number_0(1, 0x10, 0, 0, 0, 0))


def _places(quiet: bytes) -> Iterator[Case]:
    count = Draft(quiet).ehdr("e_shnum")
    yield case("symbols/common", quiet, new_symbol("shared", shndx=COMMON))
    yield case("symbols/common and unknown", quiet, new_symbol("shared", shndx=COMMON), new_symbol("nobody_has_it"))
    yield case("symbols/unknown and common", quiet, new_symbol("nobody_has_it"), new_symbol("shared", shndx=COMMON))
    yield case("symbols/two common", quiet, new_symbol("shared", shndx=COMMON), new_symbol("again", shndx=COMMON))
    yield case("symbols/common of link time optimization", quiet, new_symbol("__gnu_lto_v1", shndx=COMMON))
    yield case("symbols/common, nearly of that", quiet, new_symbol("__gnu_lt", shndx=COMMON))
    yield case("symbols/absolute", quiet, new_symbol("fixed", shndx=ABSOLUTE, value=0x1234))
    yield case("symbols/of a livepatch", quiet, new_symbol(".klp.sym.vmlinux.x,0", shndx=LIVEPATCH))
    for number in (count, count + 1, 0xFEFF, 0xFF00, 0xFF1F, 0xFF21, 0xFFF0, 0xFFF3, XINDEX):
        yield case(f"symbols/in section {number:#x}", quiet, new_symbol("lost", shndx=number))
    yield case("symbols/in the last section", quiet, new_symbol("found", shndx=count - 1))
    yield case("symbols/far beyond its section", quiet, new_symbol("far", shndx=1, value=1 << 40))
    yield case("symbols/number 0 is common", quiet, _number_0(0, 0, 0, COMMON, 0, 0))
    yield case(f"symbols/number 0 is in section {count:#x}", quiet, _number_0(0, 0, 0, count, 0, 0))
    lost: Damage = new_symbol("lost", shndx=count + 7)
    yield case("symbols/one lost, one unknown", quiet, lost, new_symbol("nobody_has_it"))
    yield case("symbols/one unknown, one lost", quiet, new_symbol("nobody_has_it"), lost)


def _name_in_headers(draft: Draft) -> None:
    # where the kernel writes the address of section 1
    place = draft.ehdr("e_shoff") + (64 + 16 if draft.is_64bit else 40 + 12)
    rows = draft.symbols()
    rows[draft.symbol("kfree")][0] = place - draft.section(".strtab").sh_offset
    draft.set_symbols(rows)


def _number_0(*row: int) -> Damage:
    return lambda draft: draft.set_symbols([list(row), *draft.symbols()[1:]])


def _gpl(bases: Bases) -> Iterator[Case]:
    needs = (bases.rich, bases.quiet)
    for license_ in ("Proprietary", "MIT"):
        yield case(
            f"gpl-only/used by a module of license {license_}", bases.user, info("license", license_), needs=needs
        )
    yield case("gpl-only/used by a module without a license", bases.user, info("license"), needs=needs)
    yield case("gpl-only/used weakly", bases.user, info("license", "x"), symbol("rich_gpl", info=WEAK), needs=needs)
    yield case("gpl-only/not used by a proprietary module", bases.quiet, info("license", "MIT"))
    yield case("gpl-only/used by driverloader", bases.user, called("driverloader"), needs=needs)
    yield case("gpl-only/used by ndiswrapper", bases.user, called("ndiswrapper"), needs=needs)


def _namespaces(bases: Bases) -> Iterator[Case]:
    needs = (bases.rich, bases.quiet)
    yield case("namespaces/of a module, not imported", bases.user, info("import_ns"), needs=needs)
    yield case("namespaces/of a module, another imported", bases.user, info("import_ns", "POOR"), needs=needs)
    yield case("namespaces/imported second", bases.user, info("import_ns", "POOR", "RICH"), needs=needs)
    yield case("namespaces/imported in small letters", bases.user, info("import_ns", "rich"), needs=needs)
    yield case("namespaces/imported with more letters", bases.user, info("import_ns", "RICHER"), needs=needs)
    yield case("namespaces/of the kernel, not imported", bases.still, info("import_ns"))
    yield case(
        "namespaces/weak, not imported",
        bases.still,
        info("import_ns"),
        symbol("insert_resource_expand_to_fit", info=WEAK),
    )
    for name in ("module:quiet", "module:", "module:*", "modules"):
        yield case(f"namespaces/{name} imported", bases.quiet, info("import_ns", name))
        yield case(f"namespaces/{name} imported after another", bases.quiet, info("import_ns", "DMA_BUF", name))
    yield case("namespaces/imported without need", bases.quiet, info("import_ns", "DMA_BUF"))
    if bases.has_versions:
        unversioned = version("insert_resource_expand_to_fit", 1)
        yield case("namespaces/not imported, and a wrong version", bases.still, info("import_ns"), unversioned)


def _owners(bases: Bases) -> Iterator[Case]:
    yield case("owners/none is loaded", bases.user)
    yield case("owners/one is not loaded", bases.user, needs=(bases.rich,))
    yield case("owners/the other is not loaded", bases.user, needs=(bases.quiet,))
    yield case("owners/both are loaded", bases.user, needs=(bases.rich, bases.quiet))
    yield case("owners/both are loaded, in another order", bases.user, needs=(bases.quiet, bases.rich))
    renamed = damaged(bases.quiet, called("noisy"))
    yield case("owners/one has another name", bases.user, needs=(renamed, bases.rich))
    nothing = damaged(bases.quiet, shdr("__ksymtab", sh_flags=0))
    yield case("owners/one exports nothing", bases.user, needs=(nothing, bases.rich))


def _inheritance(bases: Bases) -> Iterator[Case]:
    needs = (bases.quiet, bases.other)
    yield case("inheritance/of proprietary modules", bases.heir, needs=needs)
    yield case("inheritance/by a proprietary module", bases.heir, info("license", "MIT"), needs=needs)
    for first, second in (("other_plain", "kobject_put"), ("kobject_put", "other_plain")):

        def order(draft: Draft, first: str = first, second: str = second) -> None:
            one, two = draft.symbol(first), draft.symbol(second)
            rows = draft.symbols()
            if one > two:
                rows[one], rows[two] = rows[two], rows[one]
                draft.set_symbols(rows)

        yield case(f"inheritance/after {first}, {second}", bases.heir_gpl, order, needs=needs)


def _duplicates(bases: Bases) -> Iterator[Case]:
    quiet = bases.quiet
    copy = damaged(quiet, called("copy"))
    yield case("duplicates/of another module", copy, needs=(quiet,))
    strings = Draft(quiet).data(Draft(quiet).section("__ksymtab_strings"))
    for ours, theirs in (("quiet_plain", "kfree"), ("quiet_gpl", "kfree"), ("quiet_plain", "quiet_gpl")):
        at = strings.index(ours.encode() + b"\0")
        name = theirs.encode().ljust(len(ours), b"\0")
        yield case(f"duplicates/{ours} is called {theirs}", quiet, data("__ksymtab_strings", at, name))
    yield case("duplicates/half an export", quiet, resized("__ksymtab", -6))
    if bases.has_flags_of_exports:
        yield from _flags(bases)
        for table in ("__ksymtab_gpl", "__kcrctab_gpl"):
            yield case(f"duplicates/an obsolete {table}", quiet, section(table, bytes(12), sh_flags=SHF_ALLOC))
            yield case(f"duplicates/an obsolete {table}, empty", quiet, section(table, sh_flags=SHF_ALLOC))
    else:
        yield case("duplicates/exports are not allocated", quiet, shdr("__ksymtab_gpl", sh_flags=0))


def _flags(bases: Bases) -> Iterator[Case]:
    flags = "__kflagstab"
    for what, base, needs in (("", bases.quiet, ()), (", and who uses them", bases.user, (bases.quiet,))):
        for how, damage in {
            "missing": rename(flags, "__kflags"),
            "empty": shdr(flags, sh_size=0),
            "too few": resized(flags, -1),
            "too many": resized(flags, 1),
            "not allocated": shdr(flags, sh_flags=0),
            "all set": data(flags, 0, b"\xff"),
        }.items():
            damaged_one = damaged(bases.quiet, damage)
            others = (bases.rich, damaged_one) if needs else ()
            yield case(f"flags of exports/{how}{what}", base if needs else damaged_one, needs=others)
