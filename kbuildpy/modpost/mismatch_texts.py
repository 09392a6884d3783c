# SPDX-License-Identifier: GPL-2.0-only
"""modpost's messages about section mismatches that have several lines (scripts/mod/modpost.c: report_sec_mismatch).

Before 6.0 the message about every mismatch explains it; from 6.0 on, only messages about exception tables do.
"""

from __future__ import annotations

from dataclasses import dataclass

from kbuildpy.modpost.mismatch_rules import (
    DATA_TO_EXIT,
    DATA_TO_INIT,
    EXIT_TO_INIT,
    EXPORT_TO_INIT_EXIT,
    INIT_TO_EXIT,
    TEXT_TO_EXIT,
    TEXT_TO_INIT,
    SectionCheck,
    SectionRules,
    match,
)


@dataclass(frozen=True)
class ReferenceEnd:
    """One end of a reference between sections."""

    section: str
    """The section's name."""
    address: int
    """The offset in the section, in bytes."""
    symbol: str
    """The symbol that messages name; "" or "(unknown)" for none."""
    value: int
    """The symbol's value; 0 for none."""
    is_function: bool | None
    """The symbol is a function; None for no symbol."""

    @property
    def distance(self) -> int:
        """The distance from the symbol to the address in bytes, as an unsigned number of 32 bits."""
        return self.address - self.value & 0xFFFFFFFF

    @property
    def kind(self) -> str:
        """The word for the symbol in messages: function or variable (get_pretty_name, before 6.5)."""
        if self.is_function is None:
            return "(unknown reference)"
        return "function" if self.is_function else "variable"

    @property
    def called(self) -> str:
        """The symbol's name, with `()` for a function."""
        return f"{self.symbol}()" if self.is_function else self.symbol


def one_line(module: str, source: ReferenceEnd, target: ReferenceEnd) -> str:
    """The first line of the message before 6.0; for exception tables before 6.5."""
    return (
        f"{module}({source.section}+{source.address:#x}): Section mismatch in reference from the {source.kind} "
        f"{source.called} to the {target.kind} {target.section}:{target.called}\n"
    )


def long_text(module: str, check: SectionCheck, source: ReferenceEnd, target: ReferenceEnd, rules: SectionRules) -> str:
    """The message before 6.0: the mismatch and how to fix it."""
    mark_from, mark_to = _annotation(source.section, rules), _annotation(target.section, rules)
    to = f"{target.kind} {mark_to}{target.called}"
    if check.mismatch == TEXT_TO_INIT:
        advice = (
            f"The function {mark_from}{source.symbol}() references\n"
            f"the {to}.\n"
            f"This is often because {source.symbol} lacks a {mark_to}\n"
            f"annotation or the annotation of {target.symbol} is wrong.\n"
        )
    elif check.mismatch in (DATA_TO_INIT, DATA_TO_EXIT):
        marks = (
            "__init* or __refdata (see linux/init.h)"
            if check.mismatch == DATA_TO_INIT
            else "__exit* (see linux/init.h)"
        )
        advice = (
            f"The variable {source.symbol} references\n"
            f"the {to}\n"
            "If the reference is valid then annotate the\n"
            f"variable with {marks} or name the variable:\n"
            f"{', '.join(check.names)}\n"
        )
    elif check.mismatch == TEXT_TO_EXIT:
        advice = (
            f"The function {source.symbol}() references a {target.kind} in an exit section.\n"
            f"Often the {target.kind} {target.called} has valid usage outside the exit section\n"
            f"and the fix is to remove the {mark_to}annotation of {target.symbol}.\n"
        )
    elif check.mismatch == EXPORT_TO_INIT_EXIT:
        advice = (
            f"The symbol {target.symbol} is exported and annotated {mark_to}\n"
            f"Fix this by removing the {mark_to}annotation of {target.symbol} or drop the export.\n"
        )
    else:
        advice = f"The {source.kind} {mark_from}{source.called} references\na {to}.\n"
        if check.mismatch in (INIT_TO_EXIT, EXIT_TO_INIT):
            here, there = ("init", "exit") if check.mismatch == INIT_TO_EXIT else ("exit", "init")
            advice += (
                f"This is often seen when error handling in the {here} function\n"
                f"uses functionality in the {there} path.\n"
                f"The fix is often to remove the {mark_to}annotation of\n"
                f"{target.called} so it may be used outside an {there} section.\n"
            )
        else:
            advice += (
                f"If {target.symbol} is only used by {source.symbol} then\n"
                f"annotate {target.symbol} with a matching annotation.\n"
            )
    return f"{one_line(module, source, target)}{advice}\n"


def _annotation(section: str, rules: SectionRules) -> str:
    """The macro of linux/init.h that puts a symbol into `section`, and a space; "" for other sections
    (sec2annotation)."""
    if not match(section, (*rules.init, *rules.exit)):
        return ""
    name, _, rest = section.removeprefix(".").partition(".")
    return f"__{name}{'const' if 'rodata' in rest else 'data' if 'data' in rest else ''} "


def extable_black_listed(where: str, section: str, module: str) -> str:
    """The message about an exception table that names code in a section where it is never executed
    (default_mismatch_handler; before 6.5 extable_mismatch_handler)."""
    return (
        f"The relocation at {where} references\n"
        f'section "{section}" which is black-listed.\n'
        "Something is seriously wrong and should be fixed.\n"
        "You might get more information about where this is\n"
        f"coming from by using scripts/check_extable.sh {module}\n"
    )


def extable_not_authorized(where: str, section: str, *, trailing_space: bool) -> str:
    """The message about an exception table that names code in a section that modpost does not know."""
    return (
        f"The relocation at {where} references\n"
        f'section "{section}" which is not in the list of\n'
        "authorized sections.  If you're adding a new section\n"
        f'and/or if this reference is valid, add "{section}" to the\n'
        "list of authorized sections to jump to on fault.\n"
        f'This can be achieved by adding "{section}" to{" " if trailing_space else ""}\n'
        "OTHER_TEXT_SECTIONS in scripts/mod/modpost.c.\n"
    )


def extable_not_code(where: str, section: str, *, faults: bool) -> str:
    """The message about an exception table that names data (before 6.5): as the address of a fault (`faults`), or as
    the address to continue at after a fault."""
    consequence = (
        "it is not possible for the kernel to fault\nat that address.  Something is seriously wrong\n"
        if faults
        else "the kernel will fault if it ever tries to\njump to it.  Something is seriously wrong\n"
    )
    return (
        f"The relocation at {where} references\n"
        f'section "{section}" which is not executable, IOW\n'
        f"{consequence}and should be fixed.\n"
    )
