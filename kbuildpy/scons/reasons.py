# SPDX-License-Identifier: GPL-2.0-only
"""Why a target is made, in words (V=2; the counterpart is `why` of scripts/Kbuild.include).

SCons keeps of each target what it was made from: the signatures of files, and the description of its action
(`group_actions.command_action`). These are compared with those of now; freshness knows of kernel headers and CONFIG_
symbols. SCons' own explanation shows both descriptions in full.
"""

from __future__ import annotations

import difflib
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import SCons.Node

from kbuildpy.origins.command_options import first_command, options

OriginOf = Callable[[str], Sequence[tuple[str, str]]]
"""Gives, for an object (path), its flags with their origins in words."""

_MOST = 6


def reason_for(
    node: Any, *, description: str, stale: Callable[[str], list[str]], origin_of: OriginOf, name: Callable[[str], str]
) -> str:
    """Why `node`, whose action is described by `description`, is made; empty where that is not known.

    `stale` gives what changed outside of SCons' graph for a path, `name` the words for a path.
    """
    stored = node.get_stored_info()
    try:
        old = stored.binfo
        old.prepare_dependencies()
        before = dict(zip(_kids(old), [*old.bsourcesigs, *old.bdependsigs, *old.bimplicitsigs], strict=True))
        action = str(old.bact)
    except AttributeError:
        return "it was not made before"
    path = node.get_abspath()
    found = [*stale(path), *_changed_files(node, before, name)]
    if action != description:
        found += _changed_action(action, description, lambda: origin_of(path))
    if not found:
        found += [
            f"{name(kid.get_abspath())} is made again" for kid in before if kid.get_state() == SCons.Node.executed
        ]
    if not found and not node.exists():
        # (SCons removes what it makes again, but then it found a reason)
        found.append("it is gone")
    # (an object and its .cmd file have one name)
    found = list(dict.fromkeys(found))
    return "; ".join(found[:_MOST]) + (f"; and {len(found) - _MOST} more" if len(found) > _MOST else "")


def _kids(info: Any) -> list[Any]:
    return [*info.bsources, *info.bdepends, *info.bimplicit]


def _changed_files(node: Any, before: Mapping[Any, Any], name: Callable[[str], str]) -> Iterator[str]:
    now = _kids(node.get_binfo())
    for each in now:
        path = each.get_abspath()
        if each not in before:
            yield f"{name(path)} is new"
        elif node.attributes.kbuildpy_contents.signature(each) != getattr(before[each], "csig", None):
            yield f"{name(path)} changed"
    yield from (f"{name(each.get_abspath())} is not used any more" for each in before if each not in now)


def _changed_action(old: str, new: str, origins: Callable[[], Sequence[tuple[str, str]]]) -> Iterator[str]:
    then, now = _parts(old), _parts(new)
    if then.compiler != now.compiler:
        yield f"the compiler was {then.compiler or 'not known'}, is {now.compiler}"
    else:
        yield from _changed_programs(then.facts, now.facts)
    if then.commands == now.commands:
        return
    changes = difflib.SequenceMatcher(None, then.options, now.options, autojunk=False).get_opcodes()
    known = dict(enumerate(origins())) if any(tag in ("insert", "replace") for tag, *_ in changes) else {}
    silent = True
    for tag, old_start, old_end, start, end in changes:
        if tag == "equal":
            continue
        silent = False
        for place in range(start, end):
            text, origin = known.get(place, ("", ""))
            # (the origins are those of the object's first command)
            yield f"flag {now.options[place]} is new{f' ({origin})' if origin and text == now.options[place] else ''}"
        yield from (f"flag {flag} is gone" for flag in then.options[old_start:old_end])
    if silent:
        yield "another of its commands changed" if then.commands[:1] == now.commands[:1] else "its command changed"


class _Parts(NamedTuple):
    """The parts of a description of `command_action`."""

    commands: list[str]
    options: list[str]
    """Those of the first command."""
    compiler: str
    facts: list[str]


def _parts(description: str) -> _Parts:
    commands, facts, compiler = [], [], ""
    for line in description.split("\n"):
        word, _, rest = line.partition(" ")
        if word == "by":
            compiler = rest
        elif word == "with":
            facts.append(rest)
        else:
            commands.append(line)
    first = first_command(commands[0]) if commands else []
    return _Parts(commands, [text for text, _ in options(first)], compiler, facts)


def _changed_programs(then: list[str], now: list[str]) -> Iterator[str]:
    """Programs are described as `gcc of DATE, N bytes`."""
    dates = {line.partition(" of ")[0]: line for line in then}
    for line in now:
        program, _, date = line.partition(" of ")
        old = dates.get(program, "")
        if old and old != line and date:
            yield f"{os.path.basename(program)} is another file"  # noqa: PTH119
        elif line not in then:
            yield f"{line} is new"
