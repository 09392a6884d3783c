"""Where each section goes in memory, and how large the module becomes.

Counterparts: kernel/module/main.c (layout_and_allocate, layout_sections), kernel/module/kallsyms.c (layout_symtab),
kernel/module/strict_rwx.c (module_enforce_rwx_sections). Up to 6.3 there are two blocks, core and init; from 6.4 on one
for each type of memory. Addresses are representative: where modules can be on the machine, one block behind the other.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import accumulate

from kbuildpy.elf.constants import SHF_ALLOC, SHF_EXECINSTR, SHF_WRITE, SHT_NOBITS, SHT_NULL, SHT_REL, SHT_RELA
from kbuildpy.loader import since
from kbuildpy.loader.load_info import LoadInfo, is_init_section
from kbuildpy.loader.stages.sites import warn
from kbuildpy.loader.verdict import Placed, Undefined

SHF_RO_AFTER_INIT = 0x00200000
PAGE_SIZE = 4096
PLACE = {"x86_64": 0xFFFFFFFFC0200000, "arm64": 0xFFFF80007A000000}
"""An address where the kernel puts modules, by machine."""
ROOM = {"x86_64": 0x3F000000, "arm64": 0x80000000}
"""The size of that region, in bytes (MODULES_LEN); no module can be larger."""
_COPY = {"x86_64": 0xFFFFC90000100000, "arm64": 0xFFFF800083000000}
"""An address where the copy of the file may be that a module is loaded from."""

_LARGE_PAGE = 0x200000
"""PMD_SIZE of x86, which alone has code in large pages."""
_ENTSIZE_UNSET = 0xFFFFFFFFFFFFFFFF
_MASKS = (
    (SHF_EXECINSTR | SHF_ALLOC, 0),
    (SHF_ALLOC, SHF_WRITE),
    (SHF_RO_AFTER_INIT | SHF_ALLOC, 0),
    (SHF_WRITE | SHF_ALLOC, 0),
    (SHF_ALLOC, 0),
)
_CORE = ("text", "rodata", "ro_after_init", "data", "data")
_INIT = ("init_text", "init_rodata", "", "init_data", "init_data")
_ORDER = ("text", "data", "rodata", "ro_after_init", "init_text", "init_data", "init_rodata")
_RO_AFTER_INIT = (".data..ro_after_init", "__jump_table")
_RO_AFTER_INIT_NAMED = (*_RO_AFTER_INIT, ".static_call_sites")
_U32 = 0xFFFFFFFF
_MOD_KALLSYMS = 32
"""sizeof(struct mod_kallsyms): three pointers and a number."""


def layout_and_allocate(info: LoadInfo) -> None:
    """Refuse what is both writable and executable, then place every section: `info.mem`, `info.placed`, `sh_addr`."""
    info.stage = "module_frob_arch_sections"
    if info.kernel.machine == "arm64":
        from kbuildpy.loader.stages.frob import module_frob_arch_sections

        module_frob_arch_sections(info)
    info.stage = "module_enforce_rwx_sections"
    _enforce_rwx(info)
    info.stage = "layout_and_allocate"
    _check_struct_is_blank(info)
    _check_struct_is_alone(info)
    info.sechdrs[info.index.pcpu].sh_flags &= ~SHF_ALLOC
    _mark_ro_after_init(info)
    layout: dict[int, str] = {}
    info.mem = dict.fromkeys(_ORDER if _by_type(info) else ("core", "init"), 0)
    for is_init in (False, True):
        _layout_sections(info, layout, is_init=is_init)
    _layout_symtab(info, layout)
    _place(info, layout)


def check_struct_is_writable(info: LoadInfo) -> None:
    """`struct module` is within the module, and the kernel writes to it when what is read-only has become so."""
    flags = info.sechdrs[info.index.mod].sh_flags
    writable = flags & SHF_WRITE and not flags & SHF_RO_AFTER_INIT
    if not writable and info.kernel.has("STRICT_MODULE_RWX") is not False:
        raise Undefined(info.stage, "its struct module is read-only, and is written to", "build it again")


def total_size(info: LoadInfo) -> int | None:
    """What /proc/modules shows once init is over: all but what was for init only (procfs.c: module_total_size). None
    where the kernel's configuration is not known, on which it hangs."""
    if info.kernel.config is None:
        return None
    return sum(size for kind, size in info.mem.items() if not kind.startswith("init"))


def _check_struct_is_blank(info: LoadInfo) -> None:
    """The kernel counts on what it will fill in being zero: sizes, lists, flags."""
    known = info.kernel.struct_module
    if known is None:
        return
    at, length = known.name
    struct = info.data_in_file(info.index.mod)
    if any(struct[:at]) or any(struct[at + length :]):
        raise Undefined(info.stage, "its struct module is not empty but for the name", "build it again")


def _check_struct_is_alone(info: LoadInfo) -> None:
    """The sizes of the module's memory are entered in the struct in the file, before anything is copied from there."""
    start, size = info.sechdrs[info.index.mod].sh_offset, info.sechdrs[info.index.mod].sh_size
    read = {info.index.sym, info.index.str, info.index.vers, info.index.info}
    for number, section in enumerate(info.sechdrs):
        if number == info.index.mod or section.sh_type in (SHT_NULL, SHT_NOBITS):
            continue
        is_read = section.sh_flags & SHF_ALLOC or section.sh_type in (SHT_REL, SHT_RELA) or number in read
        if is_read and section.sh_offset < start + size and start < section.sh_offset + section.sh_size:
            name = info.section_name(number)
            raise Undefined(info.stage, f"{name} overlaps with struct module, which is written to", "build it again")


def _by_type(info: LoadInfo) -> bool:
    return info.kernel.version >= since.MODULE_MEMORY


def _enforce_rwx(info: LoadInfo) -> None:
    strict = info.kernel.has("STRICT_MODULE_RWX")
    for number, section in enumerate(info.sechdrs):
        if section.sh_flags & (SHF_WRITE | SHF_EXECINSTR) == SHF_WRITE | SHF_EXECINSTR:
            if strict is None:
                info.not_checked("writable and executable sections", "the configuration")
            elif strict:
                name = info.section_name(number)
                line = f"{info.mod_name}: section {name} (index {number}) has invalid WRITE|EXEC flags"
                reason = f"section {name} is writable and executable"
                raise info.refuse("ENOEXEC", line, reason, "give it one of both in the source (section attributes)")


def _mark_ro_after_init(info: LoadInfo) -> None:
    if info.kernel.version >= since.ALL_RO_AFTER_INIT:
        for name in _RO_AFTER_INIT_NAMED:
            for number in info.numbers_of(name):
                info.sechdrs[number].sh_flags |= SHF_RO_AFTER_INIT
        return
    for name in _RO_AFTER_INIT:
        number = info.find_sec(name)
        if number:
            info.sechdrs[number].sh_flags |= SHF_RO_AFTER_INIT


def _layout_sections(info: LoadInfo, layout: dict[int, str], *, is_init: bool) -> None:
    by_type = _by_type(info)
    if not is_init:
        for section in info.sechdrs:
            section.sh_entsize = _ENTSIZE_UNSET
    candidates = [
        (number, section)
        for number, section in enumerate(info.sechdrs)
        if section.sh_flags & SHF_ALLOC and is_init_section(info, info.section_name(number)) == is_init
    ]
    for step, (wanted, unwanted) in enumerate(_MASKS):
        kind = (_INIT if is_init else _CORE)[step] if by_type else ("init" if is_init else "core")
        if not kind and any(
            section.sh_flags & wanted == wanted and section.sh_entsize == _ENTSIZE_UNSET for _, section in candidates
        ):
            warn(info, "kernel/module/main.c", "__layout_sections")
        if kind:
            for number, section in candidates:
                if (
                    section.sh_flags & wanted == wanted
                    and not section.sh_flags & unwanted
                    and section.sh_entsize == _ENTSIZE_UNSET
                ):
                    section.sh_entsize = _reserve(info, kind, section.sh_size, section.sh_addralign)
                    layout[number] = kind
        if not by_type and step != 3:
            info.mem[kind] = _strict_align(info, info.mem[kind])


def _reserve(info: LoadInfo, kind: str, size: int, align: int) -> int:
    """Room for a section (module_get_offset): its offset."""
    offset = _align(info.mem[kind], align)
    if offset + size > _U32 or offset < info.mem[kind]:
        info.wrapped = True
    info.mem[kind] = (offset + size) & _U32
    return offset


def _align(size: int, align: int) -> int:
    """The kernel's ALIGN() of an unsigned int: no rounding up unless `align` is a power of two that fits into one."""
    mask = ((align or 1) - 1) & _U32
    return (size + mask) & ~mask & _U32


def _strict_align(info: LoadInfo, size: int) -> int:
    return _page_align(size) if info.kernel.has("STRICT_MODULE_RWX") is not False else size


def _page_align(size: int) -> int:
    return (size + PAGE_SIZE - 1) & ~(PAGE_SIZE - 1)


def _layout_symtab(info: LoadInfo, layout: dict[int, str]) -> None:
    if info.kernel.has("KALLSYMS") is False:
        return
    by_type = _by_type(info)
    core, init = ("data", "init_data") if by_type else ("core", "init")
    symtab, strtab = info.sechdrs[info.index.sym], info.sechdrs[info.index.str]
    symtab.sh_flags |= SHF_ALLOC
    symtab.sh_entsize = _reserve(info, init, symtab.sh_size, symtab.sh_addralign)
    layout[info.index.sym] = init
    count, length = _core_symbols(info, layout)
    start = _align(info.mem[core], symtab.sh_addralign)
    info.wrapped = info.wrapped or start < info.mem[core]
    info.mem[core] = start + count * 24 + length + count
    if not by_type:
        info.mem[core] = _strict_align(info, info.mem[core])
    strtab.sh_flags |= SHF_ALLOC
    strtab.sh_entsize = _reserve(info, init, strtab.sh_size, strtab.sh_addralign)
    layout[info.index.str] = init
    info.mem[init] = ((info.mem[init] + 7) & ~7) + _MOD_KALLSYMS + len(info.symbols)
    if not by_type:
        info.mem[init] = _strict_align(info, info.mem[init])


def _core_symbols(info: LoadInfo, layout: dict[int, str]) -> tuple[int, int]:
    """How many symbols are kept, and how long their names are, with the NUL after each (is_core_symbol)."""
    all_kept = info.kernel.has("KALLSYMS_ALL") is not False
    kept = {
        number
        for number, kind in layout.items()
        if not kind.startswith("init") and (all_kept or info.sechdrs[number].sh_flags & SHF_EXECINSTR)
    }
    if all_kept and info.index.pcpu:
        kept.add(info.index.pcpu)
    start = info.sechdrs[info.index.str].sh_offset
    find = info.contents.find
    count = length = 0
    last = len(info.sechdrs)
    room = info.sechdrs[info.index.str].sh_size
    begin, stop = 1, 0
    for number, row in enumerate(info.symbols):
        if row[0] >= room and row[3]:
            # (in the copy that is kept, which kallsyms looks for names in)
            raise Undefined(info.stage, f"the name of symbol {number} is behind the string table, and is read there")
        if number == 0 or info.is_livepatch or (row[0] and row[3] in kept and row[3] < last):
            at = start + row[0]
            if not begin <= at <= stop:  # (names may share their ends)
                begin, stop = at, find(b"\0", at)
                if stop < 0:
                    info.symbol_name(number)
            count += 1
            length += stop - at + 1
    return count, length


def _first_without_room(mem: Mapping[str, int], room: int) -> str:
    ends = zip(mem, accumulate(mem.values()), strict=True)
    return next(kind for kind, end in ends if end > room)


def _is_for_cache(info: LoadInfo, kind: str) -> bool:
    """Whether memory of this kind comes from large pages of code that modules share (mm/execmem.c: execmem_alloc)."""
    large = info.kernel.version >= since.EXECMEM_ROX and info.kernel.has("ARCH_HAS_EXECMEM_ROX")
    return bool(large) and kind in ("text", "init_text")


def _bases(info: LoadInfo, address: int) -> dict[str, int]:
    """Where each kind of memory begins. Blocks follow each other from `address` on, with a page between; code that is
    in large pages is where the next of these begins."""
    together = [kind for kind in info.mem if _is_for_cache(info, kind)]
    bases = {}
    for kind in [*(kind for kind in info.mem if kind not in together), *together]:
        if together and kind == together[0]:
            address = -(-address // _LARGE_PAGE) * _LARGE_PAGE
        bases[kind] = address
        address += _page_align(info.mem[kind]) + (0 if kind in together else PAGE_SIZE)
    return bases


def _place(info: LoadInfo, layout: dict[int, str]) -> None:
    if _by_type(info):
        info.mem = {kind: _page_align(size) for kind, size in info.mem.items()}
    machine = info.kernel.machine
    if info.wrapped:
        raise Undefined(info.stage, "its sections together are larger than the kernel can count", "look at their sizes")
    if sum(info.mem.values()) > ROOM[machine]:
        line = "execmem: unable to allocate memory" if info.kernel.version >= since.EXECMEM else None
        if line and _is_for_cache(info, _first_without_room(info.mem, ROOM[machine])):
            # large pages are tried first
            info.log(line)
        raise info.refuse(
            "ENOMEM", line, "it is larger than the room that the kernel has for modules", "look at the sections' sizes"
        )
    if _by_type(info) and layout.get(info.index.mod, "data") != "data":
        # (free_mod_mem: the data go last, because struct module should be in them)
        raise Undefined(
            info.stage, "its struct module is not with its data, and is gone when they are freed", "build it again"
        )
    bases = _bases(info, PLACE[machine])
    copy = _COPY[machine]
    for number, section in enumerate(info.sechdrs):
        if number in layout:
            kind = layout[number]
            section.sh_addr = bases[kind] + section.sh_entsize
            info.placed.append(Placed(info.section_name(number), kind, section.sh_entsize, section.sh_size))
        elif number:
            section.sh_addr = copy + section.sh_offset
    if info.index.pcpu:
        section = info.sechdrs[info.index.pcpu]
        info.placed.append(Placed(".data..percpu", "percpu", 0, section.sh_size))
