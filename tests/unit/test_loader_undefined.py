# SPDX-License-Identifier: GPL-2.0-only
"""What a kernel does not look at and comes to grief over, where nobody can be asked what becomes of it; and refusals
that a module which is loaded by itself in a kernel of today does not meet."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterator, Sequence
from dataclasses import replace

import pytest

from kbuildpy.elf.constants import SHF_ALLOC, SHF_RELA_LIVEPATCH, SHT_NOBITS, SHT_RELA, STB_WEAK
from kbuildpy.errors import KbuildError
from kbuildpy.kernel.release import Version
from kbuildpy.loader.kernel import KernelExport, LoaderKernel
from kbuildpy.loader.load_info import LoadInfo
from kbuildpy.loader.load_module import load_module
from kbuildpy.loader.loaded import Loaded, ModuleExport, Modules
from kbuildpy.loader.memory.data import ImportedAddress, Memory, SectionOffset
from kbuildpy.loader.module_file import THIS_MODULE
from kbuildpy.loader.parameters.destroy_params import destroy_params
from kbuildpy.loader.parameters.parse_args import parse_args
from kbuildpy.loader.stages import symbols
from kbuildpy.loader.stages.allocate import allocate
from kbuildpy.loader.stages.blocks import Blocks
from kbuildpy.loader.stages.finalize import post_relocation
from kbuildpy.loader.stages.ftrace import ftrace_module_init
from kbuildpy.loader.stages.layout import layout_and_allocate
from kbuildpy.loader.stages.modinfo import modinfo_values
from kbuildpy.loader.stages.own_exports import own_exports
from kbuildpy.loader.stages.relocate import apply_relocations
from kbuildpy.loader.stages.sections import check_export_sections, find_module_sections, percpu_modalloc
from kbuildpy.loader.stages.symbols import simplify_symbols
from kbuildpy.loader.stages.sysfs import mod_sysfs_setup
from kbuildpy.loader.verdict import Refusal, Undefined
from tests.support.elf_objects import DATA, RODATA, TEXT, Rel, Sec, Sym, elf_object
from tests.support.loader_info import info_of

R_64, R_PC32, ABS64, BRANCH = 1, 2, 257, 283
TEXT_, DATA_, EXTERN, WEAK = range(1, 5)
SYMBOLS = (Sym("text", 1), Sym("data", 2), Sym("extern", 0), Sym("missing", 0, bind=STB_WEAK))
FAR = 1 << 40
PLTS = (Sec(".plt", TEXT, b"\0"), Sec(".init.plt", TEXT, b"\0"))


def module(*sections: Sec, machine: str = "x86_64", text: Sequence[Rel] = (), data: Sequence[Rel] = ()) -> LoadInfo:
    """A module with a `.text`, a `.data` and these sections."""
    base = (Sec(".text", TEXT, bytes(64), text), Sec(".data", DATA, bytes(64), data))
    return info_of([*base, *sections], SYMBOLS, machine=machine)


# --- Memory that pointers lead to.


def test_a_pointer_of_which_a_relocation_makes_something_else_is_none() -> None:
    memory = Memory(module(data=[Rel(4, R_PC32, TEXT_)]))
    with pytest.raises(Undefined, match=r"makes the pointer at .data\+0x0 a number that is not an address"):
        memory.pointer(SectionOffset(2, 0))
    assert memory.pointer(SectionOffset(2, 8)) == 0


def test_a_pointer_by_a_symbol_that_does_not_exist_leads_nowhere() -> None:
    with pytest.raises(Undefined, match="symbol 99, which does not exist"):
        Memory(module(data=[Rel(0, R_64, 99)])).pointer(SectionOffset(2, 0))


def test_per_cpu_variables_have_no_address_of_their_own() -> None:
    with pytest.raises(Undefined, match="per CPU, and has no address of its own"):
        Memory(module(Sec(".data..percpu", DATA))).integer(SectionOffset(3, 0), 4)


def test_what_is_far_from_everything_is_not_written_to() -> None:
    memory = Memory(module())
    memory.store(ImportedAddress("extern", 8), 4)
    with pytest.raises(Undefined, match=r"written to extern.*, where nothing is"):
        memory.store(ImportedAddress("extern", FAR), 4)


# --- Parameters that are set.


def set_parameter(args: str, operations: str, *relocations: Rel, noarg: bool = False) -> None:
    """Hand `args` to a module with a parameter `x` whose operations are a symbol's, or with `noarg` its own, which set
    it by that symbol and claim that it takes no value."""
    symbols = [replace(symbol, name=operations) if symbol.name == "extern" else symbol for symbol in SYMBOLS]
    own = Sec(".ops", DATA, (b"\1" if noarg else b"\0").ljust(64, b"\0"), [Rel(8, R_64, EXTERN)] if noarg else [])
    entry = [Rel(0, R_64, 5), Rel(16, R_64, 6 if noarg else EXTERN), *relocations]
    sections = [
        Sec(".text", TEXT),
        Sec(".data", DATA),
        own,
        Sec(".names", RODATA, b"x\0"),
        Sec("__param", RODATA, bytes(40), entry),
    ]
    info = info_of(sections, [*symbols, Sym("name", 4), Sym("operations", 3)])
    info.args = args
    parse_args(info)


def test_what_can_only_be_switched_on_is_read_first() -> None:
    set_parameter("x=1", "param_ops_bool_enable_only", Rel(32, R_64, DATA_))
    with pytest.raises(Undefined, match="a byte of the parameter is read at the address 0x0"):
        set_parameter("x=0", "param_ops_bool_enable_only")


def test_a_parameter_that_claims_to_take_no_value_is_read_without_one() -> None:
    set_parameter("x=1", "param_set_int", Rel(32, R_64, DATA_), noarg=True)
    with pytest.raises(Undefined, match="the value of x is read, and x may be named without one"):
        set_parameter("x", "param_set_int", Rel(32, R_64, DATA_), noarg=True)


# --- Parameters when the module goes.


def parameters(*relocations: Rel) -> Memory:
    return Memory(module(Sec("__param", RODATA, bytes(40), relocations)))


@pytest.mark.parametrize(
    ("relocations", "words"),
    [
        ((), "the operations of a parameter are read at the address 0x0"),
        ((Rel(16, R_64, EXTERN, FAR),), "where nothing is"),
        ((Rel(16, R_64, DATA_, 60),), "outside"),
    ],
)
def test_operations_that_are_nowhere_are_followed_in_the_end(relocations: tuple[Rel, ...], words: str) -> None:
    with pytest.raises(Undefined, match=words):
        destroy_params(parameters(*relocations))


def test_a_string_that_is_far_from_everything_is_freed_in_the_end() -> None:
    symbols = [replace(symbol, name="param_ops_charp") if symbol.name == "extern" else symbol for symbol in SYMBOLS]
    for addend in (0, FAR):
        entry = Sec("__param", RODATA, bytes(40), [Rel(16, R_64, EXTERN), Rel(32, R_64, EXTERN, addend)])
        memory = Memory(info_of([Sec(".text", TEXT), Sec(".data", DATA), entry], symbols))
        if addend:
            with pytest.raises(Undefined, match="the variable of a charp parameter is read at"):
                destroy_params(memory)
        else:
            destroy_params(memory)


def test_the_name_of_a_parameter_that_has_a_file_must_be_kept() -> None:
    entry = bytearray(40)
    entry[24:26] = (0o644).to_bytes(2, "little")
    operations = Sec(".ops", DATA, bytes(64))
    param = Sec("__param", RODATA, bytes(entry), [Rel(0, R_64, 5), Rel(16, R_64, 6)])
    symbols = [*SYMBOLS, Sym("name", 4), Sym("operations", 3)]
    for flags in (RODATA, 0):
        base = [Sec(".text", TEXT), Sec(".data", DATA), operations, Sec(".names", flags, b"x\0"), param]
        info = info_of(base, symbols)
        if flags & SHF_ALLOC:
            mod_sysfs_setup(info)
        else:
            with pytest.raises(Undefined, match="the name of a parameter is not kept"):
                mod_sysfs_setup(info)


# --- Exports.


@pytest.mark.parametrize(
    ("contents", "relocations", "words"),
    [
        (bytes(12), [Rel(4, R_64, TEXT_)], "relocated otherwise than by an offset"),
        (bytes(12), [Rel(5, R_PC32, TEXT_)], "relocated otherwise than by an offset"),
        (bytes(4) + b"\1" + bytes(7), [], "an offset to nowhere"),
        (bytes(12), [Rel(4, R_PC32, EXTERN)], "no string of the module"),
        (bytes(12), [Rel(4, R_PC32, DATA_, 64)], "no string of the module"),
    ],
)
def test_an_export_whose_name_is_nowhere_is_read_all_the_same(
    contents: bytes, relocations: list[Rel], words: str
) -> None:
    with pytest.raises(Undefined, match=words):
        own_exports(module(Sec("__ksymtab", RODATA, contents, relocations)))


def test_exports_of_a_table_without_contents_are_found_by_its_relocations() -> None:
    """Such a table claims any size."""
    strings = Sec("__ksymtab_strings", RODATA, b"first\0second\0SPACE\0")
    relocations = [Rel(16, R_PC32, 5), Rel(64, R_PC32, 5, 6), Rel(68, R_PC32, 5, 13)]
    base = (Sec(".text", TEXT), Sec(".data", DATA))
    table = Sec("__ksymtab", RODATA, b"", relocations, type=SHT_NOBITS)
    crcs = Sec("__kcrctab", RODATA, bytes(range(64)))
    info = info_of([*base, strings, table, crcs], [*SYMBOLS, Sym("strings", 3)])
    info.sechdrs[4].sh_size = 1 << 20
    tracemalloc.start()
    found = own_exports(info)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert found == {
        "": ModuleExport(0x03020100, False, ""),
        "first": ModuleExport(0x07060504, False, ""),
        "second": ModuleExport(0x17161514, False, "SPACE"),
    }
    assert peak < 1 << 20


# --- Where sections go.


def test_sections_that_are_larger_together_than_the_kernel_counts_are_undefined() -> None:
    info = module()
    for number in (1, 2):
        info.sechdrs[number].sh_size = 0xFFFFF000
        info.sechdrs[number].sh_flags = DATA
    with pytest.raises(Undefined, match="larger than the kernel can count"):
        layout_and_allocate(info)


def test_a_struct_module_outside_of_the_data_is_gone_too_early() -> None:
    for flags in (DATA, TEXT):
        info = module(Sec(THIS_MODULE, flags, bytes(64)))
        info.index.mod = 3
        if flags == DATA:
            layout_and_allocate(info)
        else:
            with pytest.raises(Undefined, match="not in its data"):
                layout_and_allocate(info)


def test_what_overlaps_with_struct_module_is_written_to() -> None:
    """Relocations there, 7.3 died of."""
    for flags in (0, RODATA):
        info = module(Sec(THIS_MODULE, DATA, bytes(64)), Sec(".other", flags, bytes(8)))
        info.index.mod = 3
        info.sechdrs[4].sh_offset = info.sechdrs[3].sh_offset + 56
        if flags:
            with pytest.raises(Undefined, match=r".other overlaps with struct module"):
                layout_and_allocate(info)
        else:
            layout_and_allocate(info)


def test_a_module_for_arm64_has_sections_for_what_does_not_reach() -> None:
    for plts in (PLTS[:1], PLTS[1:], ()):
        with pytest.raises(Refusal, match=r"no section .plt or no section .init.plt") as caught:
            module(*plts, machine="arm64")
        assert (caught.value.errno, caught.value.line) == ("ENOEXEC", "m: module PLT section(s) missing")


def test_a_branch_by_a_symbol_that_does_not_exist_is_followed() -> None:
    with pytest.raises(Undefined, match="outside of the table"):
        module(*PLTS, machine="arm64", text=[Rel(0, BRANCH, 99)])


def test_relocations_for_a_section_that_does_not_exist_are_followed_on_arm64() -> None:
    stray = Sec(".stray", TEXT, bytes(8), [Rel(0, BRANCH, EXTERN)], link=99)
    with pytest.raises(Undefined, match="is for section 99"):
        module(*PLTS, stray, machine="arm64")


def test_relocation_sections_that_are_the_file_several_times_over_are_not_followed() -> None:
    info = module(text=[Rel(0, R_PC32, EXTERN)] * 8, data=[Rel(0, R_PC32, EXTERN)] * 8)
    both = [number for number, section in enumerate(info.sechdrs) if section.sh_type == SHT_RELA]
    for number in both:
        info.relocations(number)
    fresh = module(text=[Rel(0, R_PC32, EXTERN)] * 8, data=[Rel(0, R_PC32, EXTERN)] * 8)
    for number in both:
        fresh.sechdrs[number].sh_size = 2 * len(fresh.contents)
    with pytest.raises(Undefined, match="more than twice as long as the file"):
        for number in both:
            fresh.relocations(number)


def test_symbol_0_is_looked_at_too() -> None:
    info = module()
    info.symbols = [(0, 0, 0, 99, 0, 0), *info.symbols[1:]]
    with pytest.raises(Undefined, match="symbol 0 is in section 99"):
        simplify_symbols(info)


@pytest.mark.parametrize("version", [(6, 1, 167), (6, 6, 130), (6, 12, 79), (6, 19)])
def test_a_symbol_in_a_section_that_does_not_exist_is_looked_at_by_some_kernels(version: Version) -> None:
    info = module(text=[Rel(0, R_PC32, EXTERN)])
    info.kernel = replace(info.kernel, version=version)
    info.symbols = [info.symbols[0], (*info.symbols[1][:3], 99, *info.symbols[1][4:])]
    with pytest.raises(Undefined, match="is in section 99, which does not exist"):
        simplify_symbols(info)


@pytest.mark.parametrize("version", [(6, 1, 168), (6, 6, 131), (6, 12, 80), (7, 0)])
def test_a_symbol_in_a_section_that_does_not_exist_is_refused_by_others(version: Version) -> None:
    info = module(text=[Rel(0, R_PC32, EXTERN)])
    info.kernel = replace(info.kernel, version=version)
    info.symbols = [info.symbols[0], (*info.symbols[1][:3], 99, *info.symbols[1][4:])]
    with pytest.raises(Refusal, match="in a section that does not exist") as caught:
        simplify_symbols(info)
    assert caught.value.errno == "ENOEXEC"


@pytest.mark.parametrize(("version", "fits"), [((6, 14, 8), True), ((6, 14, 9), False), ((6, 15), False)])
def test_the_reserve_for_per_cpu_variables_was_larger_with_profiled_allocations(version: Version, fits: bool) -> None:
    sections = [Sec(".data..percpu", DATA, bytes(16 << 10))]
    info = info_of(sections, [], version=version, config={"CONFIG_MEM_ALLOC_PROFILING": "y"})
    if fits:
        percpu_modalloc(info)
    else:
        with pytest.raises(Refusal, match="all modules together have 8192"):
            percpu_modalloc(info)


def test_a_livepatch_relocation_by_a_symbol_that_does_not_exist_is_resolved() -> None:
    patched = Sec(".patched", TEXT, bytes(8), [Rel(0, R_64, 99)], relocation_name=".klp.rela.vmlinux..patched")
    info = module(patched)
    (number,) = (number for number, section in enumerate(info.sechdrs) if section.sh_type == SHT_RELA)
    info.sechdrs[number].sh_flags |= SHF_RELA_LIVEPATCH
    with pytest.raises(Undefined, match="livepatch relocation 0 names symbol 99"):
        apply_relocations(info)


def test_relocations_of_the_symbols_themselves_are_applied() -> None:
    info = module(text=[Rel(0, R_PC32, EXTERN)])
    (number,) = (number for number, section in enumerate(info.sechdrs) if section.sh_type == SHT_RELA)
    info.sechdrs[number].sh_info = info.index.sym
    with pytest.raises(Undefined, match="applied to the symbols themselves"):
        apply_relocations(info)


def test_code_that_is_patched_must_be_within_its_section() -> None:
    for place in (60, 64):
        info = module(Sec(".ibt_endbr_seal", RODATA, bytes(4), [Rel(0, R_PC32, TEXT_, place)]))
        apply_relocations(info)
        if place == 60:
            post_relocation(info)
        else:
            with pytest.raises(Undefined, match=r"points to 0x40 of .text, which has 0x40"):
                post_relocation(info)


# --- What is told by the configuration.


def test_exports_need_versions_where_the_kernel_has_them() -> None:
    info = module(Sec("__ksymtab", RODATA, bytes(12)))
    info.kernel = replace(info.kernel, config={})
    check_export_sections(info)
    info.kernel = replace(info.kernel, config={"CONFIG_MODVERSIONS": "y"})
    with pytest.raises(Refusal, match="no versions for exported symbols") as caught:
        check_export_sections(info)
    assert (caught.value.errno, caught.value.line) == ("ENOEXEC", None)


def test_constructors_are_of_one_kind() -> None:
    info = module(Sec(".ctors", DATA), Sec(".init_array", DATA))
    info.kernel = replace(info.kernel, config={})
    find_module_sections(info)
    info.kernel = replace(info.kernel, config={"CONFIG_CONSTRUCTORS": "y"})
    with pytest.raises(Refusal) as caught:
        find_module_sections(info)
    assert (caught.value.errno, caught.value.line) == ("EINVAL", "m: has both .ctors and .init_array.")


def test_a_section_0_with_an_address_stands_for_every_section_that_is_missing() -> None:
    info = module(Sec(".data", DATA))
    info.kernel = replace(info.kernel, version=(7, 3), config={})
    find_module_sections(info)
    assert info.journal.lines == []
    info.sechdrs[0] = replace(info.sechdrs[0], sh_flags=SHF_ALLOC, sh_addr=0x1000)
    find_module_sections(info)
    assert info.journal.lines == [
        *(f"m: ignoring obsolete section {name}" for name in ("__ksymtab_gpl", "__kcrctab_gpl")),
        "m: Ignoring obsolete parameters",
    ]


def test_a_kernel_that_is_locked_down_takes_no_unsigned_module() -> None:
    kernel = replace(stand_in(), config={"CONFIG_MODULE_SIG": "y"}, lockdown=True)
    verdict, _ = load_module(whole(b"vermagic=6.12"), kernel)
    assert (verdict.errno, verdict.stage) == ("EPERM", "module_sig_check")
    assert str(verdict.log).startswith("Lockdown: <comm>: unsigned module loading is restricted")


# --- Functions that are traced.


def test_a_place_to_trace_by_must_be_within_its_section() -> None:
    info = module(Sec("__mcount_loc", RODATA, bytes(8), [Rel(0, R_64, TEXT_, 64)]))
    apply_relocations(info)
    with pytest.raises(Undefined, match="leads out of its section"):
        ftrace_module_init(info)


def test_a_place_to_trace_by_is_relocated_on_arm64() -> None:
    info = module(*PLTS, Sec("__patchable_function_entries", RODATA, b"\1" + bytes(7)), machine="arm64")
    apply_relocations(info)
    with pytest.raises(Undefined, match="not relocated"):
        ftrace_module_init(info)


# --- Before and after a module by itself.


def stand_in(version: tuple[int, int] = (6, 12), machine: str = "x86_64") -> LoaderKernel:
    return LoaderKernel("6.12", version, machine, config={"CONFIG_MODVERSIONS": "y"}, vermagic="6.12")


@pytest.mark.parametrize("kernel", [stand_in((5, 10)), stand_in(machine="loongarch")])
def test_a_loader_that_is_not_known_is_not_guessed(kernel: LoaderKernel) -> None:
    with pytest.raises(KbuildError, match="the loader of this kernel is not supported"):
        load_module(b"", kernel)


def whole(modinfo: bytes) -> bytes:
    return elf_object([Sec(THIS_MODULE, DATA, bytes(24) + b"m".ljust(56, b"\0"))], []).replace(
        b"license=GPL\0description=x\0", modinfo.ljust(26, b"\0")
    )


def test_a_module_without_vermagic_is_refused_without_a_word() -> None:
    verdict, _ = load_module(whole(b"license=GPL"), stand_in())
    assert (verdict.errno, verdict.log, verdict.reason) == ("ENOEXEC", None, "it has no vermagic, as modpost writes it")


def test_a_live_patch_takes_a_kernel_that_can_be_patched() -> None:
    verdict, _ = load_module(whole(b"vermagic=6.12\0livepatch=Y"), stand_in())
    assert verdict.errno == "ENOEXEC"
    assert verdict.log == "m: module is marked as livepatch module, but livepatch support is disabled"


@pytest.mark.parametrize(("state", "errno"), [("LIVE", "EEXIST"), ("COMING", "EEXIST"), ("GOING", "EBUSY")])
def test_a_name_is_taken_until_its_module_is_gone(state: str, errno: str) -> None:
    verdict, _ = load_module(whole(b"vermagic=6.12"), stand_in(), Modules((Loaded("m", state=state),)))
    assert verdict.errno == errno


def test_the_sections_before_one_without_a_name_are_shown() -> None:
    info = module()
    info.sechdrs[2].sh_name = len(info.contents)
    blocks = Blocks({"core": 0}, by_type=False, is_strict=True, kind_of={1: "core", 2: "core"})
    with pytest.raises(Undefined, match="reaches beyond the end of the module"):
        allocate(info, blocks)
    assert [item.section for item in info.layout.placed] == [".text"]


# --- What is said in .modinfo.


@pytest.mark.parametrize(("size", "values"), [(24, ["A", "B"]), (22, ["A", "B"]), (12, ["A"]), (10, ["A"])])
def test_an_entry_that_begins_in_modinfo_counts(size: int, values: list[str]) -> None:
    assert list(modinfo_values(namespaces(size), "import_ns")) == values


@pytest.mark.parametrize("size", [0, 1, 9, 13, 21])
def test_where_modinfo_ends_within_a_tag_the_next_is_looked_for_behind_it(size: int) -> None:
    found = modinfo_values(namespaces(size), "import_ns")
    assert next(found) == "A"
    if size > 12:
        assert next(found) == "B"
    with pytest.raises(Undefined, match="behind it"):
        next(found)


def test_modinfo_is_searched_once_for_all_symbols(monkeypatch: pytest.MonkeyPatch) -> None:
    class InSpaces:
        def find(self, symbol: str) -> KernelExport | None:
            return None if symbol.startswith("missing") else KernelExport("", None, False, symbol[0])

    searched: list[str] = []

    def counted(info: LoadInfo, tag: str) -> Iterator[str]:
        searched.append(tag)
        return modinfo_values(info, tag)

    info = module()
    monkeypatch.setattr(symbols, "modinfo_values", counted)
    info.kernel = replace(info.kernel, exports=InSpaces())
    info.modules = Modules(refused=("b",))
    said = b"import_ns=A\0import_ns=B\0depends=a,b\0depends=a\0"
    info.sechdrs[0] = replace(info.sechdrs[0], sh_offset=len(info.contents), sh_size=len(said))
    info.contents += said
    # (`module` has looked up its own symbols)
    vars(info).update(absent=None, refused=None, on_demand=False)
    for number in range(5):
        assert [symbols.resolve_symbol(info, f"{space}{number}") for space in "BA"] == [None, None]
        other, missing = (symbols.resolve_symbol(info, f"{name}{number}") for name in ("C", "missing"))
        assert other is not None and other.reason == f"C{number} is in namespace C, which the module does not import"
        assert missing is not None and "b, which the module depends on, is refused itself" in missing.reason
    assert sorted(searched) == ["depends", "depends", "import_ns"]
    assert info.absent == ["a"]


def namespaces(size: int) -> LoadInfo:
    """A module with two entries in `.modinfo`, which has `size` bytes."""
    info = module()
    info.contents = b"import_ns=A\0import_ns=B\0"
    info.sechdrs[0] = replace(info.sechdrs[0], sh_offset=0, sh_size=size)
    return info
