# SPDX-License-Identifier: GPL-2.0-only
"""Actions of a group: signed with Kbuild's commands, and hung on its nodes."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from typing import Any, TypeGuard

from kbuildpy.kbuild.layout import Layout
from kbuildpy.kbuild.plan import BuildStep
from kbuildpy.kbuild.rules import CHECK_RULES
from kbuildpy.kbuild.stamps import Stamp, digest
from kbuildpy.scons.actions import ImplicitExecutor, KbuildAction, bind, set_implicit
from kbuildpy.scons.group import Group


def attach(group: Group, targets: Sequence[Any], sources: Sequence[Any], action: KbuildAction) -> None:
    """Let `action` make `targets` (File nodes) of `group` from `sources` (nodes).

    Raises `KbuildError` when something else makes one of them already.
    """
    bind(group.project.env, targets, sources, action, executor=ImplicitExecutor)
    action.whose = group.whose
    action.why = functools.partial(_reason, group, action)
    if group.project.tells_reasons:
        action.reason = action.why
    action.begin = group.unfinished.begin
    group.unfinished.remove_unknown(targets)
    for target in targets:
        target.attributes.kbuildpy_contents = group.contents
    set_implicit(targets, [])


def command_action(
    group: Group,
    function: Callable[[list[Any], list[Any]], None],
    steps: Sequence[BuildStep],
    layout: Layout,
    target: str,
    *,
    title: str = "",
    facts: Sequence[object] = (),
) -> KbuildAction:
    """An action of `group` signed with the commands of `steps`, the compiler and `facts`.

    `title` is Kbuild's words, in which `target` (nominal) is shown as the user knows it.
    """
    answer = group.project.answer
    commands = [step.command for step in steps if step.rule not in CHECK_RULES]
    programs = group.project.programs_in(commands)
    signature = digest(answer.compiler, programs, commands, layout, list(facts))
    shown = title.replace(target, f"{group.label}{layout.relative(target)}")
    action = KbuildAction(function, title=f"  {shown}" if shown else "", signature=signature)
    action.describe = lambda: "\n".join([*commands, f"by {answer.compiler}", *described([*programs, *facts])])
    return action


def _reason(group: Group, action: KbuildAction, node: Any) -> str:
    from kbuildpy.scons.group_reasons import reason_in_group  # (slow, and for V=2 and traces only)

    return reason_in_group(group, action, node)


def described(facts: Iterable[object]) -> list[str]:
    """What beside commands decides about a target, a line each."""
    return [_described_file(*fact) if _is_stamped(fact) else f"with {fact}" for fact in facts]


def _is_stamped(fact: object) -> TypeGuard[tuple[str, Stamp]]:
    return isinstance(fact, tuple) and len(fact) == 2 and isinstance(fact[1], tuple)


@functools.lru_cache(maxsize=256)
def _described_file(name: str, seen: Stamp) -> str:
    """(SCons asks for this in every build, of all targets, and it is nearly always the same.)"""
    return f"with {name} of {datetime.fromtimestamp(seen[0] / 1e9).isoformat(' ')}, {seen[1]} bytes"
