# SPDX-License-Identifier: GPL-2.0-only
"""Checks that each chain of modifiers (const, volatile, typedef, ...) ends at a type of another kind.

Counterpart: kernel/bpf/btf.c: btf_check_type_tags, and from 7.2 on btf_check_modifier_chain_length.
"""

from __future__ import annotations

from kbuildpy.kernel.release import Version
from kbuildpy.loader import since
from kbuildpy.loader.btf.invalid import InvalidBtf, verifier_log
from kbuildpy.loader.btf.types import MODIFIERS, BtfTypes, Kind

MAX_CHAIN = 32


def check_modifiers(types: BtfTypes, version: Version) -> None:
    """Raise `InvalidBtf` for a chain of more than `MAX_CHAIN` modifiers, and for one that refers to a missing type."""
    ordered = version < since.BTF_TAG_ORDER
    checked = types.start_id - 1
    for own, start in enumerate(types.starts, types.start_id):
        kind = types.kind_at(start)
        if kind not in MODIFIERS:
            continue
        number, left, in_tags = own, MAX_CHAIN, kind == Kind.TYPE_TAG
        while kind in MODIFIERS:
            if not left:
                raise verifier_log(
                    "ELOOP",
                    "Max chain length or cycle detected",
                    why=f"more than {MAX_CHAIN} modifiers (const, typedef, ...) follow each other, or lead in a circle",
                )
            left -= 1
            if ordered:
                if kind == Kind.TYPE_TAG and not in_tags:
                    raise verifier_log(
                        "EINVAL", "Type tags don't precede modifiers", why="a type tag stands behind a modifier (const)"
                    )
                in_tags = kind == Kind.TYPE_TAG
            if number <= checked:
                break
            number = types.words[types.start_of(number) + 2]
            following = types.kind_of(number)
            if following is None:
                raise InvalidBtf("EINVAL", (), f"type {own} leads to type {number}, which does not exist")
            kind = following
        checked = own
