# SPDX-License-Identifier: GPL-2.0-only
"""Section mismatches: references between sections that are discarded at different times.

The counterpart is scripts/mod/modpost.c: section_rel, section_rela, check_section_mismatch. The kernel frees `__init`
code after a module's init function, and discards `__exit` code of built-in drivers; a reference from elsewhere may then
lead to freed memory. An object has up to 10^6 relocations, and nearly all are harmless. For speed, the symbols whose
references may be mismatches are collected first, for each set of checks, and only relocations with these symbols are
decoded. Names for a message are looked up only when there is a message.
"""

from __future__ import annotations

from kbuildpy.elf import ModuleImage, Relocation, Section
from kbuildpy.elf.constants import (
    EM_LOONGARCH,
    EM_RISCV,
    SHF_EXECINSTR,
    SHN_LORESERVE,
    SHN_XINDEX,
    SHT_REL,
    SHT_RELA,
    STT_FUNC,
    STT_SECTION,
)
from kbuildpy.elf.relocation_types import R_LARCH_ALIGN, R_LARCH_RELAX, R_LARCH_SUB32, R_RISCV_SUB32
from kbuildpy.elf.relocations import decode_entries, entry_size, relocation_symbols
from kbuildpy.errors import KbuildError
from kbuildpy.modpost import since
from kbuildpy.modpost.addends import REL_MACHINES, old_rel_addend, rel_address
from kbuildpy.modpost.diagnostics import DiagnosticTopic, SectionReference
from kbuildpy.modpost.mismatch_rules import (
    DATA,
    EXPORT_TO_INIT_EXIT,
    EXTABLE_TO_NON_TEXT,
    LINKER_NAMES,
    SectionCheck,
    match,
)
from kbuildpy.modpost.mismatch_texts import (
    ReferenceEnd,
    extable_black_listed,
    extable_not_authorized,
    extable_not_code,
    long_text,
    one_line,
)
from kbuildpy.modpost.walk import Walk

EXTABLE = "__ex_table"


def refuse_unknown_machine(walk: Walk, section: Section) -> None:
    """Raise `Fatal` for a SHT_REL section of a machine whose addends modpost cannot decode (section_rel, since 6.5)."""
    image = walk.image
    if section.type != SHT_REL or image.header.e_machine in REL_MACHINES or not walk.dialect.locates_mismatches:
        return
    if section.size and not match(image.section_name(section.info), walk.dialect.white_sections):
        raise walk.log.fatal("Please add code to calculate addend for this architecture\n")


def check_references(walk: Walk, section: Section) -> None:
    """Report the mismatches among the references of one relocation section (check_section_mismatch). Raises `Fatal`
    where modpost ends, `KbuildError` for a damaged section."""
    if section.type not in (SHT_REL, SHT_RELA):
        return
    image, dialect = walk.image, walk.dialect
    if walk.export_section is not None and section.info == walk.export_section.index:
        return
    if dialect.explains_mismatches:
        name = section.name[len(".rela" if section.type == SHT_RELA else ".rel") :]
    else:
        name = image.section_name(section.info)
    checks = _checks_from(walk, name)
    if not checks:
        return
    learns = dialect.extable_is_fatal and name == EXTABLE
    for index, relocation in _relocations_to(image, section, _targets(walk, checks)):
        if learns and index:
            _learn_entry_size(walk, section)
        _check_reference(walk, section, name, relocation)
    if learns:
        _learn_entry_size(walk, section)


def _relocations_to(image: ModuleImage, section: Section, targets: frozenset[int]) -> list[tuple[int, Relocation]]:
    """The entries of a relocation section that name one of the symbols `targets`, as pairs of index and entry."""
    if not targets:
        return []
    table = image.section_data(section)
    if len(table) % entry_size(section, image.header):
        raise KbuildError(
            f"{image.filename}: section {section.name}: {len(table)} bytes are no whole number of relocations",
            hint="the file is damaged; remove it and build it again",
        )
    numbers = relocation_symbols(table, section, image.header)
    if numbers and max(numbers) >= len(image.symbols):
        raise KbuildError(f"{image.filename}: section {section.name}: a relocation names no symbol")
    if targets.isdisjoint(numbers):
        return []
    places = [index for index, number in enumerate(numbers) if number in targets]
    return list(zip(places, decode_entries(table, places, section, image.header), strict=True))


def _checks_from(walk: Walk, name: str) -> tuple[int, ...]:
    """The numbers of the checks for references from sections of the name `name`."""
    numbers = walk.checks_of.get(name)
    if numbers is None:
        numbers = ()
        if not match(name, walk.dialect.white_sections):
            checks = walk.dialect.section_rules.checks
            numbers = tuple(number for number, check in enumerate(checks) if match(name, check.fromsec))
        walk.checks_of[name] = numbers
    return numbers


def _targets(walk: Walk, numbers: tuple[int, ...]) -> frozenset[int]:
    """The numbers of the symbols that the checks `numbers` forbid to refer to."""
    targets = walk.targets_of.get(numbers)
    if targets is None:
        checks = [walk.dialect.section_rules.checks[number] for number in numbers]
        image = walk.image
        bad = {section.index for section in image.sections if _mismatch(checks, section.name) is not None}
        symbols, rows = image.symbols, image.symbols.rows
        places = bad | {SHN_XINDEX} if bad else bad
        found = [(number, shndx) for number, (_, _, _, shndx, _, _) in enumerate(rows) if shndx in places]
        # a section's index may equal a reserved value of st_shndx (SHN_ABS and others), which names no section
        targets = walk.targets_of[numbers] = frozenset(
            number
            for number, shndx in found
            if shndx < SHN_LORESERVE or (shndx == SHN_XINDEX and symbols.section_index(number) in bad)
        )
    return targets


def _mismatch(checks: list[SectionCheck], tosec: str) -> SectionCheck | None:
    """The first check that forbids `tosec` (section_mismatch). None for "", the section of undefined symbols."""
    if tosec:
        for check in checks:
            if match(tosec, check.bad_tosec) or (check.good_tosec and not match(tosec, check.good_tosec)):
                return check
    return None


def _check_reference(walk: Walk, section: Section, fromsec: str, relocation: Relocation) -> None:
    image, dialect = walk.image, walk.dialect
    if is_no_reference(walk, fromsec, relocation):
        return
    address = _address(walk, section, relocation)
    if address is None:
        return
    tosec = image.section_name(image.symbols.section_index(relocation.symbol))
    rules = dialect.section_rules
    check = _mismatch([rules.checks[number] for number in walk.checks_of[fromsec]], tosec)
    if check is None:
        return
    before = walk.nearest.before(relocation.offset, section.info, fromsec)
    source = _place(walk, before, fromsec, relocation.offset)
    target = _place(walk, walk.nearest.around(address, relocation.symbol), tosec, address)
    is_extable = check.mismatch == EXTABLE_TO_NON_TEXT
    if dialect.explains_mismatches and not is_extable and source.symbol.startswith("reference___initcall"):
        return
    if (dialect.locates_mismatches or not is_extable) and _is_excused(walk, check, source, target):
        return
    walk.mismatches.count += 1
    topic = _topic(walk, section, relocation, source, target)
    if is_extable:
        shndx = image.symbols.section_index(relocation.symbol)
        executable = bool(image.sections[shndx].flags & SHF_EXECINSTR)
        _report_extable(walk, check, source, target, topic, executable=executable)
    elif dialect.explains_mismatches:
        walk.log.warn(long_text(f"{walk.owner.name}.o", check, source, target, rules), topic=topic)
    elif check.mismatch == EXPORT_TO_INIT_EXIT:
        name, symbol = f"{walk.owner.name}.o", target.symbol
        walk.log.module("export-discarded", name, error=False, topic=topic, symbol=symbol, section=tosec)
    else:
        _report(walk, source, target, topic)


def _topic(
    walk: Walk, section: Section, relocation: Relocation, source: ReferenceEnd, target: ReferenceEnd
) -> DiagnosticTopic:
    """The topic of a message about `relocation`. Its `to_offset` is computed from the symbol and the addend, also where
    modpost finds no symbol to name."""
    _, info, _, _, value, _ = walk.image.symbols.rows[relocation.symbol]
    to_offset = value + (relocation.addend if info & 15 == STT_SECTION else 0)
    reference = SectionReference(
        section.info,
        relocation.offset,
        source.symbol,
        walk.image.symbols.section_index(relocation.symbol),
        to_offset,
        target.symbol,
    )
    return DiagnosticTopic("mismatch", walk.owner.name, reference=reference)


def _report(walk: Walk, source: ReferenceEnd, target: ReferenceEnd, topic: DiagnosticTopic) -> None:
    module, start, end = f"{walk.owner.name}.o", source.symbol, target.symbol
    if walk.dialect.locates_mismatches:
        module = walk.owner.name
        start = f"{source.symbol}+{source.distance:#x}" if source.symbol else f"{source.address & 0xFFFFFFFF:#x}"
        end = target.symbol
        if not end and walk.dialect.names_by_address:
            end = f"{target.address & 0xFFFFFFFF:#x}"
    walk.log.module(
        "mismatch",
        module,
        error=False,
        topic=topic,
        source=start,
        fromsec=source.section,
        target=end,
        tosec=target.section,
    )


def _report_extable(
    walk: Walk,
    check: SectionCheck,
    source: ReferenceEnd,
    target: ReferenceEnd,
    topic: DiagnosticTopic,
    *,
    executable: bool,
) -> None:
    """Report a reference from `__ex_table` to a section other than code; the kernel would jump there. Raises `Fatal`
    where modpost ends (default_mismatch_handler; before 6.5 extable_mismatch_handler)."""
    log, dialect, section = walk.log, walk.dialect, target.section
    where = f"{source.section}+{source.address:#x}"
    black_listed = match(section, check.bad_tosec)
    unknown_code = executable and not black_listed
    if dialect.locates_mismatches:
        _report(walk, source, target, topic)
        if unknown_code:
            log.warn(extable_not_authorized(where, section, trailing_space=False))
    else:
        text = one_line(f"{walk.owner.name}.o", source, target)
        more = extable_not_authorized(where, section, trailing_space=True) if unknown_code else ""
        log.warn(text + more, topic=topic)
    if black_listed:
        module = walk.owner.name if dialect.locates_mismatches else f"{walk.owner.name}.o"
        raise log.fatal(extable_black_listed(where, section, module))
    if executable:
        return
    if not dialect.extable_is_fatal:
        log.error(f"{where} references non-executable section '{section}'\n")
        return
    size = walk.mismatches.extable_entry_size
    if source.address and not size:
        raise log.fatal("extable_entry size hasn't been discovered!\n")
    raise log.fatal(extable_not_code(where, section, faults=not source.address or source.address % size == 0))


def is_no_reference(walk: Walk, fromsec: str, relocation: Relocation) -> bool:
    """Whether `relocation` names a symbol without referring to its address, so that modpost ignores it
    (section_rela)."""
    machine, version = walk.image.header.e_machine, walk.dialect.version
    if machine == EM_RISCV:
        return version >= since.RISCV_DIFFERENCES and fromsec == EXTABLE and relocation.type == R_RISCV_SUB32
    if machine == EM_LOONGARCH:
        if version >= since.LOONGARCH_RELAX and relocation.type in (R_LARCH_RELAX, R_LARCH_ALIGN):
            return True
        return version >= since.LOONGARCH_DIFFERENCES and fromsec == EXTABLE and relocation.type == R_LARCH_SUB32
    return False


def _address(walk: Walk, section: Section, relocation: Relocation) -> int | None:
    """The address that `relocation` refers to, an offset in the section of its symbol; until 6.6
    (for SHT_RELA) the addend alone. None
    where modpost skips the relocation."""
    image = walk.image
    if section.type == SHT_RELA:
        if walk.dialect.version < since.SYMBOL_AND_ADDEND:
            return relocation.addend
        _, _, _, _, value, _ = image.symbols.rows[relocation.symbol]
        return (value + relocation.addend) & (1 << (64 if image.header.is_64bit else 32)) - 1
    if section.info >= len(image.sections):
        raise KbuildError(f"{image.filename}: section {section.name}: applies to section {section.info}, which is none")
    old = not walk.dialect.locates_mismatches
    return (old_rel_addend if old else rel_address)(image, image.sections[section.info], relocation)


def _place(walk: Walk, number: int | None, section: str, address: int) -> ReferenceEnd:
    if number is None:
        return ReferenceEnd(section, address, "" if walk.dialect.names_by_address else "(unknown)", 0, None)
    _, info, _, _, value, _ = walk.image.symbols.rows[number]
    return ReferenceEnd(section, address, walk.nearest.name(number), value, info & 15 == STT_FUNC)


def _is_excused(walk: Walk, check: SectionCheck, source: ReferenceEnd, target: ReferenceEnd) -> bool:
    """Whether modpost allows the reference by one of its exceptions (secref_whitelist)."""
    rules, fromsym, tosec = walk.dialect.section_rules, source.symbol, target.section
    to_init = match(tosec, rules.init)
    if match(source.section, DATA):
        if match(tosec, rules.init_data) and fromsym.startswith("__param"):
            return True
        if tosec == ".init.text" and fromsym.startswith("__param_ops_"):
            return True
        if (to_init or match(tosec, rules.exit)) and match(fromsym, check.names):
            return True
        for excuse in rules.excuses:
            if excuse.quiet_only and walk.options.extra_warnings:
                continue
            if match(tosec, excuse.tosec) and match(fromsym, excuse.names):
                return True
    if to_init and source.section.startswith(".head.text"):
        return True
    if target.symbol in LINKER_NAMES:
        return True
    if to_init and match(source.section, rules.text) and match(fromsym, ("*.constprop.*",)):
        return True
    return rules.local_labels and fromsym.startswith(".L")


def _learn_entry_size(walk: Walk, section: Section) -> None:
    """Set the size of an entry of `__ex_table`: twice the offset of the second relocation (find_extable_entry_size)."""
    image, state = walk.image, walk.mismatches
    table = image.section_data(section)
    if state.extable_entry_size or len(table) < 2 * entry_size(section, image.header):
        return
    (second,) = decode_entries(table, (1,), section, image.header)
    if is_no_reference(walk, EXTABLE, second):
        return
    if second.symbol >= len(image.symbols):
        raise KbuildError(f"{image.filename}: section {section.name}: a relocation names no symbol")
    _, _, _, shndx, _, _ = image.symbols.rows[second.symbol]
    is_special = SHN_LORESERVE <= shndx < SHN_XINDEX
    if not is_special and _address(walk, section, second) is not None:
        state.extable_entry_size = second.offset * 2 & 0xFFFFFFFF
