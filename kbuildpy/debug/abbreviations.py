# SPDX-License-Identifier: GPL-2.0-only
"""Abbreviations: which attributes the entries of a unit have, and in which forms (DWARF 5, section 7.5.3)."""

from __future__ import annotations

from dataclasses import dataclass

from kbuildpy.debug.forms import AT_SIBLING, FORM_IMPLICIT_CONST, fixed_size
from kbuildpy.debug.leb128 import read_sleb, read_uleb


@dataclass(frozen=True, slots=True)
class Abbreviation:
    """What entries of one code look like."""

    tag: int
    has_children: bool
    attributes: tuple[tuple[int, int, int], ...]
    """Each attribute, its form, and the value of an implicit constant."""
    steps: tuple[int, ...]
    """How to skip the attributes: a number of bytes, or a form that has no fixed size, negative."""
    sibling: tuple[int, int] | None
    """The bytes before DW_AT_sibling, and its form, if it has one at a fixed place."""


def read_abbreviations(
    contents: bytes, at: int, *, version: int, address_size: int, offset_size: int
) -> dict[int, Abbreviation]:
    """The abbreviations of the table at `at`, by their codes."""
    table: dict[int, Abbreviation] = {}
    while True:
        code, at = read_uleb(contents, at)
        if not code:
            return table
        tag, at = read_uleb(contents, at)
        has_children = contents[at] != 0
        at += 1
        attributes = []
        while True:
            name, at = read_uleb(contents, at)
            form, at = read_uleb(contents, at)
            implicit = 0
            if form == FORM_IMPLICIT_CONST:
                implicit, at = read_sleb(contents, at)
            if not name and not form:
                break
            attributes.append((name, form, implicit))
        sizes = [
            (name, form, fixed_size(form, version=version, address_size=address_size, offset_size=offset_size))
            for name, form, _ in attributes
        ]
        table[code] = Abbreviation(tag, has_children, tuple(attributes), _steps(sizes), _sibling(sizes))


def _steps(sizes: list[tuple[int, int, int | None]]) -> tuple[int, ...]:
    steps: list[int] = []
    for _, form, size in sizes:
        if size is None:
            steps.append(-form)
        elif steps and steps[-1] >= 0:
            steps[-1] += size
        else:
            steps.append(size)
    return tuple(steps)


def _sibling(sizes: list[tuple[int, int, int | None]]) -> tuple[int, int] | None:
    before = 0
    for name, form, size in sizes:
        if size is None:
            return None
        if name == AT_SIBLING:
            return before, form
        before += size
    return None
