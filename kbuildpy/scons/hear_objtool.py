# SPDX-License-Identifier: GPL-2.0-only
"""What a build does with objtool's messages: it tells below them what they end in."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from kbuildpy.errors import KbuildError
from kbuildpy.kbuild.layout import Layout
from kbuildpy.scons.group import Group

if TYPE_CHECKING:
    from kbuildpy.advice.uses import ModuleSources


def hear_objtool(group: Group, target: str, layout: Layout) -> Callable[[str], None]:
    """A function that is called with what objtool says of the object `target`."""

    def hear(said: str) -> None:
        from kbuildpy.advice.objtool import objtool_advice  # (for messages only)
        from kbuildpy.scons.tell_advice import tell_advice, wants_advice

        if not wants_advice(group):
            return

        def open_object() -> ModuleSources | None:
            from kbuildpy.scons.module_sources import module_sources

            try:
                return module_sources(group, Path(layout.actual(target)))
            except (KbuildError, OSError):
                return None  # (the table still says what a message ends in)

        try:
            found, left_out = objtool_advice(said, layout.relative(target), open_object)
        except (KbuildError, OSError):
            return  # (objtool's message stands)
        with group.lock:
            tell_advice(group, found, left_out)

    return hear
