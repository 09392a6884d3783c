# SPDX-License-Identifier: GPL-2.0-only
"""Which function or macro of a kernel is what another kernel calls by another name."""

from __future__ import annotations

import re
from collections.abc import Iterator

from kbuildpy.advice.header_search import Declaration, HeaderText, declarations_in
from kbuildpy.kernel.tree import KernelTree

_CALL = re.compile(r"(?:return\s+)?(\w+)\s*\(")
_NO_CALL = frozenset({"if", "for", "while", "switch", "return", "sizeof", "do"})
_NAME = re.compile(rb"^#\s*define\s+(\w+)\(|^[A-Za-z_][^\n;{}()=]*?\b(\w+)\s*\(", re.MULTILINE)


def wrapped_call(old: Declaration) -> str:
    """The function that `old` (inline, or a macro) calls and does nothing else; "" for none."""
    body = old.body.strip().rstrip(";").strip()
    match = _CALL.match(body)
    if old.kind not in ("inline", "macro") or match is None or match[1] in _NO_CALL:
        return ""
    depth = 0
    for at, character in enumerate(body[match.end() - 1 :], match.end() - 1):
        depth += {"(": 1, ")": -1}.get(character, 0)
        if not depth:
            return match[1] if at == len(body) - 1 else ""
    return ""


def twins_of(old: Declaration, tree: KernelTree) -> Iterator[Declaration]:
    """Functions and macros in the same header of `tree` whose parameters and body are those of `old`, which is of
    another kernel, but whose name is another one."""
    if not old.body:
        return
    try:
        contents = (tree.source / old.file).read_bytes()
    except OSError:
        return
    header = HeaderText(old.file, contents)
    wanted = _but_for_name(old)
    for name in dict.fromkeys((found[0] or found[1]).decode() for found in _NAME.findall(contents)):
        if name == old.name:
            continue
        for each in declarations_in(header, name):
            if each.kind == old.kind and _but_for_name(each) == wanted and not each.excluded_by(tree.config):
                yield each


def _but_for_name(each: Declaration) -> str:
    text = f"{each.text.partition('{')[0]} {each.body}"
    return " ".join(re.sub(rf"\b{re.escape(each.name)}\b", "@", text).split())
