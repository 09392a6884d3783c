# SPDX-License-Identifier: GPL-2.0-only
"""A member that a struct does not have, or that is of another type than the source takes it for."""

from __future__ import annotations

import re
from typing import NamedTuple

from kbuildpy.advice.advice import Advice
from kbuildpy.advice.compiler_messages import MissingName
from kbuildpy.advice.conditions import HeaderCondition, conditions_at, only_where, symbols_in, unmet
from kbuildpy.advice.header_search import HeaderText, find_declarations
from kbuildpy.advice.near_names import NearNames
from kbuildpy.advice.other_kernels import OtherKernels
from kbuildpy.advice.visible import VisibleMember, VisibleText
from kbuildpy.kernel.tree import KernelTree

_CUTOFF = 0.65
"""Members are few, so that a name may differ by more than among all functions."""


class _WrittenMember(NamedTuple):
    """A member in the text of a header, whatever the configuration."""

    member: VisibleMember
    conditions: tuple[HeaderCondition, ...]


def member_facts(
    each: MissingName, tag: str, visible: VisibleText, tree: KernelTree, others: OtherKernels, *, deadline: float
) -> Advice | None:
    """What is known of member `each.name` of `struct tag`; None for a struct whose definition is not found. Headers are
    read until the `deadline`."""
    members = visible.members(tag)
    if not members:
        return None
    name = each.name
    by_name = {member.name: member for member in members}
    here = by_name.get(name)
    lines: list[str] = []
    configs: list[str] = []
    similar: list[str] = []
    if each.kind == "callback" and here is not None:
        lines.append(f"here it is {_shown(here, tree)}")
    else:
        excluded = _excluded(_written(tree, tag, deadline), name, tree)
        if excluded is not None:
            [condition] = excluded.conditions
            place = f"{excluded.member.file}:{excluded.member.line}"
            lines.append(f"{place} has it {only_where(condition, tree.config)}")
            configs += symbols_in(condition)
    kernels: list[str] = []
    for other in reversed(others.trees):
        there = _written(other, tag, deadline)
        old = next((item.member for item in there if item.member.name == name), None)
        if old is None or (each.kind == "callback" and (here is None or old.text == here.text)):
            continue
        kernels.append(other.release)
        if len(kernels) > 1:
            continue
        lines.append(f"in {other.release} it is {_shown(old, other)}")
        if each.kind == "member":
            similar += _of_the_same_type(old, members, {item.member.name for item in there})
    if each.kind == "member" and not configs:
        similar += [other for other in NearNames(tuple(by_name)).nearest(name, cutoff=_CUTOFF) if other not in similar]
        lines += [f"did you mean {other}? {_shown(by_name[other], tree)}" for other in similar]
    if each.kind == "member" and not lines:
        first = members[0]
        lines.append(f"its {len(members)} members begin at {_below(first.file, tree)}:{first.line}")
    subject = f"{tag}.{name}"
    return Advice("compiler", subject, (), tuple(lines), (), tuple(similar), tuple(reversed(kernels)), tuple(configs))


def _of_the_same_type(old: VisibleMember, members: list[VisibleMember], known: set[str]) -> list[str]:
    """The members that are new since a kernel that has `known`, and are declared as `old` is but for the name; none
    where there are several to choose from."""
    wanted = _but_for_name(old)
    found = [item.name for item in members if item.name not in known and _but_for_name(item) == wanted]
    return found if len(found) == 1 else []


def _but_for_name(member: VisibleMember) -> str:
    return re.sub(rf"\b{re.escape(member.name)}\b", "@", member.text)


def _excluded(written: list[_WrittenMember], name: str, tree: KernelTree) -> _WrittenMember | None:
    for item in written:
        condition = unmet(item.conditions, tree.config) if item.member.name == name else None
        if condition is not None and symbols_in(condition):
            return item._replace(conditions=(condition,))
    return None


def _written(tree: KernelTree, tag: str, deadline: float) -> list[_WrittenMember]:
    """The members that the tree's headers write for `struct tag`."""
    for place in find_declarations(tree, [tag], deadline=deadline)[tag]:
        if place.kind != "type" or not place.text.startswith(("struct", "union", "typedef")):
            continue
        header = _read(tree, place.file)
        members = VisibleText(header.plain).members(tag) if header else []
        if header and members:
            return [
                _WrittenMember(item._replace(file=place.file), tuple(conditions_at(header.text, item.line)))
                for item in members
            ]
    return []


def _read(tree: KernelTree, file: str) -> HeaderText | None:
    for top in (tree.source, tree.objects):
        try:
            return HeaderText(file, (top / file).read_bytes())
        except OSError:
            continue
    return None


def _shown(member: VisibleMember, tree: KernelTree) -> str:
    return f"{_below(member.file, tree)}:{member.line}: {member.text}"


def _below(file: str, tree: KernelTree) -> str:
    for top in (tree.source, tree.objects):
        file = file.removeprefix(f"{top}/")
    return file.removeprefix("./")
