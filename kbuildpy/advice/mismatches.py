# SPDX-License-Identifier: GPL-2.0-only
"""The two places of a section mismatch, and what it ends in when the module runs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from kbuildpy.advice.advice import MOST_SUBJECTS, Advice, place_text
from kbuildpy.advice.undefined import ModpostModule
from kbuildpy.advice.uses import ModuleSources, source_name
from kbuildpy.elf.constants import EM_X86_64
from kbuildpy.modpost.diagnostics import DiagnosticTopic, SectionReference

_END_OF_INSTRUCTION = 8
"""Bytes between the address that a relative relocation of x86 has and the address that the instruction means."""


def mismatch_advice(
    modules: Mapping[str, ModpostModule], topics: Iterable[DiagnosticTopic]
) -> tuple[list[Advice], int]:
    """What is known about the mismatches among `topics`, and how many are left out."""
    wanted = [topic for topic in topics if topic.reference is not None and topic.module in modules]
    found = [
        _mismatch(modules[topic.module], topic.reference)
        for topic in wanted[:MOST_SUBJECTS]
        if topic.reference is not None and _is_sound(modules[topic.module], topic.reference)
    ]
    return found, max(len(wanted) - MOST_SUBJECTS, 0)


def _is_sound(module: ModpostModule, reference: SectionReference) -> bool:
    return max(reference.section, reference.to_section) < len(module.opened.image.sections)


def _mismatch(module: ModpostModule, reference: SectionReference) -> Advice:
    opened = module.opened
    sections = opened.image.sections
    source_section, target_section = sections[reference.section], sections[reference.to_section]
    target_name = source_name(_target_name(opened, reference))
    target = opened.definition(target_section, reference.to_offset, target_name)
    source = opened.at(source_section, reference.offset, reference.source, target_name)
    source_symbol = (source.function if source else "") or source_name(reference.source)
    lines = []
    if source is not None and source.file:
        lines.append(f"the reference is at {place_text(source)}")
    if target is not None and target.file:
        said = place_text(target._replace(function=""))
        lines.append(f"{target_name or 'the target'} ({target_section.name}) is defined at {said}")
    lines.append(_consequence(source_section.name, target_section.name, target_name or "it"))
    places = tuple(place for place in (source, target) if place is not None and place.file)
    subject = f"{source_symbol or source_section.name} -> {target_name or target_section.name}"
    return Advice("mismatch", subject, (module.file,), tuple(lines), places)


def _target_name(opened: ModuleSources, reference: SectionReference) -> str:
    """The symbol that is referred to, also where modpost names none: relative relocations of x86 are some bytes off."""
    section = opened.image.sections[reference.to_section]
    if reference.target and not reference.target.startswith(("(", ".")):
        return reference.target
    offsets = [reference.to_offset]
    if opened.image.header.e_machine == EM_X86_64:
        offsets = [reference.to_offset + off for off in (*range(4, _END_OF_INSTRUCTION + 1), 0)]
    for offset in offsets:
        if 0 <= offset < max(section.size, 1):
            symbol = opened.symbol_at(section, offset)
            if symbol is not None and symbol.start <= offset < max(symbol.stop, symbol.start + 1):
                return symbol.name
    return ""


def _consequence(source: str, target: str, name: str) -> str:
    """What happens when the reference is followed (kernel/module/main.c: do_free_init, free_module)."""
    if target.startswith((".init", ".meminit")):
        if "data" in target:
            gone = f"the memory of {name} is freed when init returns: what is read from there then is anything"
        else:
            gone = f"the code of {name} is freed when init returns: a call after that is an oops"
        if source.startswith(".exit"):
            return f"{gone}; exit runs after init"
        return f"{gone}. Remove its __init, or mark the function that refers to it __init, too"
    if target.startswith((".exit", ".memexit")):
        return (
            f"{name} is not there at all in a kernel that has the driver built in, or without module unloading: "
            "remove its __exit"
        )
    if source == "__ex_table":
        return "the kernel continues there after a fault"
    return "the two sections are not there at the same time"
