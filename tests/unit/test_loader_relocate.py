# SPDX-License-Identifier: GPL-2.0-only
"""Relocations, type by type: what each kernel refuses, with its line, and where its behaviour is undefined."""

from __future__ import annotations

import tracemalloc
from collections.abc import Sequence
from dataclasses import replace
from time import process_time
from typing import Any

import pytest

from kbuildpy.elf.constants import SHN_ABS, STB_WEAK
from kbuildpy.kernel.module_facts import ModuleStruct
from kbuildpy.loader.btf.types import Kind, read_types
from kbuildpy.loader.stages.relocate import apply_relocations
from kbuildpy.loader.verdict import Refusal, Undefined
from tests.support.btf_draft import Word, drafted
from tests.support.btf_draft import info as info_word
from tests.support.elf_objects import DATA, RODATA, TEXT, Rel, Sec, Sym
from tests.support.loader_info import Version, info_of, sentences

R_64, R_PC32, R_PLT32, R_32, R_32S, R_PC64 = 1, 2, 4, 10, 11, 24
ABS64, ABS32, PREL32, PAGE, BRANCH, SHORT_BRANCH, GOT = 257, 258, 261, 275, 283, 279, 311
SYMBOLS = (
    Sym("local", 1, 8),
    Sym("kernel", 0),
    Sym("missing_weak", 0, bind=STB_WEAK),
    Sym("small", SHN_ABS, 0x1000),
    Sym("big", SHN_ABS, 0x1_2345_6789),
    Sym("percpu", 2),
)
LOCAL, KERNEL, WEAK, SMALL, BIG, PERCPU = range(1, 7)
VERSIONS: tuple[Version, ...] = ((6, 1), (6, 12), (7, 3))
PLTS = (Sec(".plt", TEXT, b"\0"), Sec(".init.plt", TEXT, b"\0"))


def relocate(
    relocations: Sequence[Rel], *, version: Version = (6, 12), contents: bytes = bytes(64), machine: str = "x86_64"
) -> list[str]:
    """Relocate a module's text, and give what the kernel logs."""
    sections = [Sec(".text", TEXT, contents, relocations), Sec(".data..percpu", DATA)]
    info = info_of([*sections, *PLTS], SYMBOLS, version=version, machine=machine)
    info.stage = "apply_relocations"
    apply_relocations(info)
    return info.journal.lines


def refusal_of(
    relocations: Sequence[Rel], *, version: Version = (6, 12), contents: bytes = bytes(64), machine: str = "x86_64"
) -> Refusal:
    """What the kernel refuses them with."""
    with pytest.raises(Refusal) as caught:
        relocate(relocations, version=version, contents=contents, machine=machine)
    return caught.value


@pytest.mark.parametrize("version", VERSIONS)
def test_takes_what_compilers_make(version: Version) -> None:
    relocations = [
        Rel(0, R_64, LOCAL, 1 << 40),
        Rel(8, R_PC32, KERNEL, -4),
        Rel(12, R_PLT32, WEAK, -4),
        Rel(16, R_32S, LOCAL, 16),
        Rel(20, R_PC64, KERNEL),
        Rel(28, R_32, SMALL),
        Rel(32, R_32S, WEAK),
        Rel(60, R_32S, PERCPU),
    ]
    assert relocate(relocations, version=version) == []
    assert relocate(relocations[:1], version=version) == []


@pytest.mark.parametrize("version", VERSIONS)
def test_refuses_an_unknown_type(version: Version) -> None:
    refusal = refusal_of([Rel(0, 9, KERNEL)], version=version)
    assert (refusal.errno, refusal.line) == ("ENOEXEC", "module: m: Unknown rela relocation: 9")


@pytest.mark.parametrize(
    ("version", "line"),
    [
        (
            (6, 1),
            "module: x86/modules: Skipping invalid relocation target, existing value is nonzero for type 1, "
            "loc <loc>, val <val>",
        ),
        (
            (6, 12),
            "module: x86/modules: Invalid relocation target, existing value is nonzero for type 1, "
            "loc <loc>, val <val>",
        ),
        (
            (7, 3),
            "module: x86/modules: Invalid relocation target, existing value is nonzero for sec 6, idx 1, type 1, "
            "loc <loc>, val <val>",
        ),
    ],
)
def test_refuses_a_place_that_is_not_zero(version: Version, line: str) -> None:
    contents = bytes(15) + b"\1" + bytes(48)
    refusal = refusal_of([Rel(0, R_64, KERNEL), Rel(8, R_64, KERNEL)], version=version, contents=contents)
    assert (refusal.errno, refusal.line) == ("ENOEXEC", line)


def test_refuses_two_relocations_of_one_place() -> None:
    refusal = refusal_of([Rel(0, R_64, KERNEL), Rel(4, R_PC32, KERNEL)])
    assert refusal.line is not None
    assert "nonzero for type 2" in refusal.line


@pytest.mark.parametrize("config", [{}, {"CONFIG_ARCH_HAS_EXECMEM_ROX": "y"}])
@pytest.mark.parametrize(("target", "known"), [(".rodata", False), (".text", True)])
def test_a_distance_to_code_in_large_pages_is_not_known(config: dict[str, str], target: str, known: bool) -> None:
    """It is positive or negative, as the first kernel addresses are free or not; so its last byte is 0 or 255."""
    relocations = [Rel(place, R_PC32, LOCAL, -0x80) for place in (1, 4)]
    tables = [Sec(".rodata", RODATA, bytes(16)), Sec(".more", TEXT, bytes(16))]
    tables[target == ".text"] = replace(tables[target == ".text"], relocations=relocations)
    module = [Sec(".text", TEXT, bytes(64)), Sec(".data..percpu", DATA), *tables]
    info = info_of(module, SYMBOLS, version=(7, 3), config=config)
    info.stage = "apply_relocations"
    if config and not known:
        with pytest.raises(Undefined, match="differs from boot to boot"):
            apply_relocations(info)
    else:
        with pytest.raises(Refusal, match="not zero"):
            apply_relocations(info)


class Counted(Sequence[int]):
    """Numbers, and how often one was read."""

    def __init__(self, numbers: Sequence[int]) -> None:
        self.numbers = numbers
        self.reads = 0

    def __len__(self) -> int:
        return len(self.numbers)

    def __getitem__(self, index: Any) -> Any:
        self.reads += 1
        return self.numbers[index]


@pytest.mark.parametrize("percpu", [False, True])
def test_a_relocation_is_found_in_large_pages_without_a_look_at_all_sections(percpu: bool) -> None:
    """Sections and relocations are as many as a hostile file has: time must not grow with their product."""
    tables = [Sec(f".t{number}", RODATA, b"") for number in range(500)]
    first, text = Sec(".first", RODATA, bytes(16)), Sec(".text", TEXT, relocations=[Rel(0, R_PC32, LOCAL)] * 2)
    module = [first, *tables, text, *[Sec(".data..percpu", DATA)] * percpu]
    info = info_of(module, [Sym("local", 1)], version=(7, 3), config={"CONFIG_ARCH_HAS_EXECMEM_ROX": "y"})
    info.stage = "apply_relocations"
    numbers = Counted(info.layout.numbers)
    info.layout = info.layout._replace(numbers=numbers)
    with pytest.raises(Undefined, match="differs from boot to boot"):
        apply_relocations(info)
    assert numbers.reads < 50


def test_a_section_is_not_copied_to_check_its_relocations_one_by_one() -> None:
    """Many relocation sections may be for one large section."""
    info = info_of([Sec(".text", TEXT, bytes(1 << 20), [Rel(0, 0, LOCAL), Rel(8, R_64, LOCAL)])], SYMBOLS[:1])
    info.relocations(info.find_any_sec(".rela.text"))
    tracemalloc.start()
    apply_relocations(info)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 1 << 18


def test_takes_two_relocations_of_one_place_if_the_first_leaves_zero() -> None:
    assert relocate([Rel(0, R_64, WEAK), Rel(0, R_64, KERNEL)]) == []


def test_does_not_guess_where_the_kernel_lies() -> None:
    relocations = [Rel(place, R_32S, KERNEL, -(1 << 30)) for place in (0, 8)]
    sections = [Sec(".text", TEXT, relocations=relocations), Sec(".data..percpu", DATA)]
    info = info_of(sections, SYMBOLS)
    apply_relocations(info)
    assert sentences(info) == [
        "whether relocations of .rela.text overflow: that depends on the kernel's address",
    ]


def test_says_the_value_where_it_is_the_same_on_every_machine() -> None:
    refusal = refusal_of([Rel(0, R_64, SMALL, 1)], contents=b"\1" * 64)
    assert refusal.line is not None
    assert refusal.line.endswith("loc <loc>, val 1001")


@pytest.mark.parametrize(
    ("version", "relocation", "line"),
    [
        ((6, 1), Rel(0, R_32S, BIG), "module: overflow in relocation type 11 val 123456789"),
        ((6, 12), Rel(0, R_32, BIG), "module: overflow in relocation type 10 val 123456789"),
        ((7, 3), Rel(0, R_32, BIG), "module: overflow in relocation type 10 val 123456789 sec 6 idx 0"),
        ((6, 1), Rel(0, R_32, LOCAL), "module: overflow in relocation type 10 val <val>"),
        ((6, 12), Rel(0, R_32, KERNEL), "module: overflow in relocation type 10 val <val>"),
        ((6, 12), Rel(0, R_32S, LOCAL, 1 << 33), "module: overflow in relocation type 11 val <val>"),
        ((6, 12), Rel(0, R_32S, KERNEL, 1 << 33), "module: overflow in relocation type 11 val <val>"),
        ((7, 3), Rel(0, R_32, PERCPU), "module: overflow in relocation type 10 val <val> sec 6 idx 0"),
    ],
)
def test_refuses_what_does_not_fit(version: Version, relocation: Rel, line: str) -> None:
    sections = [Sec(".text", TEXT, relocations=[relocation]), Sec(".data..percpu", DATA), *PLTS]
    info = info_of(sections, SYMBOLS, version=version)
    with pytest.raises(Refusal) as caught:
        apply_relocations(info)
    assert (caught.value.errno, caught.value.line) == ("ENOEXEC", line)
    assert info.journal.lines == [line, "module: `m' likely not compiled with -mcmodel=kernel"]


@pytest.mark.parametrize(("version", "word"), [((6, 1), "Skipping invalid"), ((6, 12), "overflow")])
def test_looks_at_the_place_first_up_to_6_2_and_at_the_size_first_from_6_3(version: Version, word: str) -> None:
    refusal = refusal_of([Rel(0, R_32, BIG)], version=version, contents=b"\1" * 64)
    assert refusal.line is not None
    assert word in refusal.line


@pytest.mark.parametrize("machine", ["x86_64", "arm64"])
def test_refuses_relocations_without_addends(machine: str) -> None:
    sections = [Sec(".text", TEXT, relocations=[Rel(0, 1, KERNEL)], rela=False), *PLTS, Sec(".data..percpu")]
    info = info_of(sections, [Sym("local", 1), Sym("kernel", 0)], machine=machine)
    with pytest.raises(Refusal) as caught:
        apply_relocations(info)
    assert (caught.value.errno, caught.value.line) == ("ENOEXEC", "module m: REL relocation unsupported")


@pytest.mark.parametrize(("machine", "kind"), [("x86_64", R_64), ("x86_64", R_PC32), ("arm64", ABS64)])
@pytest.mark.parametrize("relocation", [Rel(62, 0, KERNEL), Rel(1 << 40, 0, KERNEL), Rel(0, 0, 1000)])
def test_a_place_or_symbol_that_does_not_exist_is_undefined(machine: str, kind: int, relocation: Rel) -> None:
    relocation = Rel(relocation.offset, kind, relocation.symbol)
    with pytest.raises(Undefined):
        relocate([relocation], machine=machine)


@pytest.mark.parametrize("version", VERSIONS)
def test_relocates_only_what_is_kept_in_memory(version: Version) -> None:
    sections = [
        Sec(".text", TEXT, relocations=[Rel(0, R_64, 1)]),
        Sec(".comment", 0, b"\1" * 64, [Rel(0, 99, 1)]),
        Sec(".data..percpu", DATA),
    ]
    info = info_of([*sections, *PLTS], [Sym("local", 1)], version=version)
    apply_relocations(info)
    assert info.relocated == {info.find_any_sec(".text"): [info.find_any_sec(".rela.text")]}


@pytest.mark.parametrize("version", VERSIONS)
def test_relocates_per_cpu_variables_from_7_0_on(version: Version) -> None:
    sections = [Sec(".text", TEXT), Sec(".data..percpu", DATA, b"\1" * 64, [Rel(0, R_64, KERNEL)]), *PLTS]
    info = info_of(sections, SYMBOLS, version=version)
    if version < (7, 0):
        apply_relocations(info)
    else:
        with pytest.raises(Refusal, match="at a place that is not zero"):
            apply_relocations(info)


def test_struct_module_is_the_kernels_but_for_init_and_exit() -> None:
    for place in (0x10, 0x18):
        module = Sec(".gnu.linkonce.this_module", DATA, relocations=[Rel(place, R_64, LOCAL)])
        info = info_of([Sec(".text", TEXT), Sec(".data..percpu", DATA), module], SYMBOLS)
        info.kernel = replace(info.kernel, struct_module=ModuleStruct(64, (24, 8), 0x10, 0x20))
        info.index.mod = info.find_any_sec(".gnu.linkonce.this_module")
        if place == 0x10:
            apply_relocations(info)
        else:
            with pytest.raises(Undefined, match="0x18 of struct module"):
                apply_relocations(info)


MEMBERS: list[Sequence[Word]] = [
    ("int", info_word(Kind.INT), 4, 1 << 24 | 32),
    (0, info_word(Kind.PTR), 0),
    ("list_head", info_word(Kind.STRUCT, 2), 16, "next", 2, 0, "prev", 2, 64),
    ("module", info_word(Kind.STRUCT, 4), 64, "list", 3, 0, "init", 2, 128, "args", 2, 192, "version", 2, 256),
]


@pytest.mark.parametrize(
    ("places", "line", "symbol"),
    [
        ((8,), "existing value is nonzero for type 1", LOCAL),
        # (the kernel does not ask whether there is such a symbol)
        ((8,), "existing value is nonzero for type 1, loc <loc>, val <val>", 4_000_000),
        # (what is written to the first is not looked at again)
        ((24, 0), "existing value is nonzero for type 1", LOCAL),
        ((24,), None, LOCAL),
        # (this one would be freed)
        ((32, 0), None, LOCAL),
        ((40,), None, LOCAL),
    ],
)
def test_x86_refuses_what_would_be_written_over_the_kernels_own_members(
    places: Sequence[int], line: str | None, symbol: int
) -> None:
    module = Sec(".gnu.linkonce.this_module", DATA, relocations=[Rel(place, R_64, symbol) for place in places])
    info = info_of([Sec(".text", TEXT), Sec(".data..percpu", DATA), module], SYMBOLS)
    types = drafted(MEMBERS)
    info.kernel = replace(
        info.kernel,
        struct_module=ModuleStruct(64, (48, 8), 0x10, None),
        own_types=lambda: read_types(memoryview(types.types), types.strings, (6, 12)),
    )
    info.index.mod = info.find_any_sec(".gnu.linkonce.this_module")
    with pytest.raises(Refusal if line else Undefined) as caught:
        apply_relocations(info)
    assert not line or line in str(caught.value.args) + str(getattr(caught.value, "line", ""))


LIVEPATCH = 0x00100000


@pytest.mark.parametrize(
    ("section", "symbol", "line"),
    [
        (".klp.rela", Sym("x", 0xFF20), "livepatch: section .klp.rela has an incorrectly formatted name"),
        (".klp.rela.vmlinux.text", Sym("x", 0xFF20), "livepatch: symbol x has an incorrectly formatted name"),
        (".klp.rela.vmlinux.text", Sym("x", 1), "livepatch: symbol x is not marked as a livepatch symbol"),
        (".klp.rela.vmlinux.text", Sym(".klp.sym.vmlinux.x,0", 0xFF20), None),
        (".klp.rela.ext4.text", Sym("x", 1), None),
    ],
)
def test_livepatch_names_are_checked(section: str, symbol: Sym, line: str | None) -> None:
    sections = [Sec(".text", TEXT, relocations=[Rel(0, R_64, 1)], relocation_name=section), Sec(".data..percpu")]
    info = info_of(sections, [symbol])
    info.sechdrs[info.find_any_sec(section)].sh_flags |= LIVEPATCH
    if line is None:
        apply_relocations(info)
    else:
        with pytest.raises(Refusal) as caught:
            apply_relocations(info)
        assert (caught.value.errno, caught.value.line) == ("EINVAL", line)


@pytest.mark.parametrize("version", VERSIONS)
def test_takes_what_compilers_make_for_arm64(version: Version) -> None:
    relocations = [
        Rel(0, ABS64, LOCAL),
        Rel(8, PREL32, KERNEL),
        Rel(12, PAGE, KERNEL),
        Rel(16, 277, KERNEL),
        Rel(20, BRANCH, KERNEL),
        Rel(24, BRANCH, WEAK),
        Rel(28, 280, LOCAL),
        Rel(32, ABS32, SMALL),
    ]
    assert relocate(relocations, version=version, machine="arm64") == []
    assert relocate(relocations[:5], version=version, machine="arm64") == []


@pytest.mark.parametrize(
    ("version", "relocation", "line"),
    [
        ((6, 1), Rel(0, GOT, KERNEL), "module m: unsupported RELA relocation: 311"),
        ((6, 12), Rel(0, GOT, KERNEL), "Modules: module m: unsupported RELA relocation: 311"),
        ((6, 1), Rel(0, ABS32, KERNEL), "module m: overflow in relocation type 258 val <val>"),
        ((6, 12), Rel(0, ABS32, BIG), "Modules: module m: overflow in relocation type 258 val 123456789"),
        ((7, 3), Rel(0, PREL32, WEAK), "Modules: module m: overflow in relocation type 261 val 0"),
        ((7, 3), Rel(0, PAGE, WEAK), "Modules: module m: overflow in relocation type 275 val 0"),
        ((6, 12), Rel(0, SHORT_BRANCH, LOCAL, 1 << 15), "Modules: module m: overflow in relocation type 279 val <val>"),
        ((6, 12), Rel(0, BRANCH, LOCAL, 1 << 28), None),
    ],
)
def test_refuses_what_arm64_does_not_reach(version: Version, relocation: Rel, line: str | None) -> None:
    refusal = refusal_of([relocation], version=version, machine="arm64")
    assert (refusal.errno, refusal.line) == ("ENOEXEC", line)


@pytest.mark.parametrize("missing", PLTS)
def test_arm64_needs_sections_for_its_plt(missing: Sec) -> None:
    sections = [Sec(".text", TEXT), *(section for section in PLTS if section != missing)]
    with pytest.raises(Refusal) as caught:
        info_of(sections, [], machine="arm64")
    assert (caught.value.errno, caught.value.line) == ("ENOEXEC", "m: module PLT section(s) missing")


@pytest.mark.parametrize(
    ("version", "plts"), [((6, 5, 12), 0), ((6, 5, 13), 1), ((6, 6, 2), 0), ((6, 6, 3), 1), ((6, 7), 1)]
)
def test_arm64_without_a_random_base_counts_branches_in_later_kernels(version: Version, plts: int) -> None:
    sections = [Sec(".text", TEXT, relocations=[Rel(0, BRANCH, KERNEL)]), Sec(".data..percpu"), *PLTS]
    config = {"CONFIG_RANDOMIZE_BASE": "n"}
    info = info_of(sections, SYMBOLS, version=version, machine="arm64", config=config)
    assert info.sechdrs[info.find_any_sec(".plt")].sh_size == (plts + 1) * 12


def test_arm64_refuses_relocations_in_the_order_in_which_it_has_sorted_them() -> None:
    # Counting its PLT entries, the kernel exchanges the branch at the end with what is in front.
    got, low = Rel(0, GOT, KERNEL), Rel(4, 312, KERNEL)
    assert "relocation: 311" in str(refusal_of([got, low], machine="arm64").line)
    assert "relocation: 312" in str(refusal_of([got, low, Rel(8, BRANCH, KERNEL)], machine="arm64").line)
    assert "relocation: 311" in str(refusal_of([got, low, Rel(8, BRANCH, LOCAL)], machine="arm64").line)


def test_arm64_reserves_no_plt_entries_for_branches_in_data() -> None:
    for flags, said in ((TEXT, False), (DATA, True)):
        sections = [Sec(".text", TEXT), Sec(".more", flags, bytes(64), [Rel(0, BRANCH, KERNEL)]), *PLTS]
        info = info_of(sections, SYMBOLS, machine="arm64")
        apply_relocations(info)
        assert any("relocations of .rela.more overflow" in sentence for sentence in sentences(info)) is said
    here = [Sec(".more", DATA, bytes(64), [Rel(0, BRANCH, LOCAL, 1 << 28)]), *PLTS]
    info = info_of(here, SYMBOLS, machine="arm64")
    with pytest.raises(Refusal) as caught:
        apply_relocations(info)
    assert (caught.value.errno, caught.value.line) == ("ENOEXEC", None)
    assert "at arch/arm64/kernel/module-plts.c:<line> module_emit_plt_entry+<offset>" in info.journal.lines[-1]


@pytest.mark.parametrize(("calls", "refused"), [(1, False), (0, True)])
def test_arm64_does_not_know_which_plt_entries_are_left(calls: int, refused: bool) -> None:
    branches = [Rel(0, BRANCH, LOCAL, 1 << 28), *[Rel(4, BRANCH, KERNEL)] * calls]
    # (entries for the code that is removed after init are others)
    init = Sec(".init.text", TEXT, bytes(64), [Rel(0, BRANCH, KERNEL)])
    info = info_of([Sec(".text", TEXT, bytes(64), branches), init, *PLTS], SYMBOLS, machine="arm64")
    if refused:
        with pytest.raises(Refusal, match="there is no PLT entry for it"):
            apply_relocations(info)
    else:
        apply_relocations(info)
    assert any("enough PLT entries" in sentence for sentence in sentences(info)) is not refused


def test_many_branches_without_plt_entries_take_no_longer_each() -> None:
    number = 20_000
    branches = [Rel(0, BRANCH, KERNEL), *[Rel(4, BRANCH, LOCAL, 1 << 28)] * number]
    sections = [Sec(".text", TEXT, bytes(64), branches), *PLTS, *[Sec(".more")] * 1000]
    info = info_of(sections, SYMBOLS, machine="arm64")
    began = process_time()
    apply_relocations(info)
    assert process_time() - began < 3


def test_arm64_does_not_know_how_far_sections_are_that_are_not_kept() -> None:
    sections = [Sec(".lost", 0), Sec(".more", DATA, bytes(64), [Rel(0, PREL32, LOCAL), Rel(8, ABS64, LOCAL)]), *PLTS]
    info = info_of(sections, SYMBOLS, machine="arm64")
    apply_relocations(info)
    assert any("overflow" in sentence for sentence in sentences(info))


def test_arm64_makes_room_for_one_plt_entry_per_symbol_in_another_section() -> None:
    branches = [
        Rel(0, BRANCH, KERNEL),
        Rel(4, BRANCH, KERNEL),
        Rel(8, BRANCH, LOCAL),
        Rel(12, BRANCH, WEAK, 4),
        Rel(16, BRANCH, WEAK, 4),
        Rel(20, ABS32, SMALL),
        Rel(24, ABS32, SMALL),
    ]
    sections = [Sec(".text", TEXT, relocations=branches), Sec(".data..percpu"), *PLTS]
    info = info_of(sections, SYMBOLS, machine="arm64")
    # One for the kernel's symbol, one for each branch with an addend, and one that is always there.
    assert info.sechdrs[info.find_any_sec(".plt")].sh_size == 4 * 12
    assert info.sechdrs[info.find_any_sec(".init.plt")].sh_size == 12
