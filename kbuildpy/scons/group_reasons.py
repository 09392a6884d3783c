# SPDX-License-Identifier: GPL-2.0-only
"""Why a target of a group is made: `reasons`, with the group's freshness and the origins of its flags."""

from __future__ import annotations

from typing import Any

from kbuildpy.origins.origin_words import short_path
from kbuildpy.printable import printable
from kbuildpy.scons.actions import KbuildAction
from kbuildpy.scons.group import Group
from kbuildpy.scons.origins_of_flags import origins_of_flags
from kbuildpy.scons.reasons import reason_for


def reason_in_group(group: Group, action: KbuildAction, node: Any) -> str:
    """Why `node` of `group` is made, by `action`."""

    def name(path: str) -> str:
        """A file as Kbuild's lines name it; a `.cmd` file stands for its object."""
        shown = short_path(path.removeprefix(f"{group.out}/"), group.project.tree)
        folder, slash, base = shown.rpartition("/")
        return f"{folder}{slash}{base[1:-4]}" if base.startswith(".") and base.endswith(".cmd") else shown

    def stale(path: str) -> list[str]:
        if not group.project.is_stale(path):
            return []
        return group.freshness.changes(path, name=name) or [group.freshness.why_stale(path)]

    with group.lock:
        reason = reason_for(
            node,
            description=action.describe(),
            stale=stale,
            origin_of=lambda path: origins_of_flags(group, path),
            name=name,
        )
    return printable(reason)
