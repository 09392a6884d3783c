# SPDX-License-Identifier: GPL-2.0-only
"""How an installation into the running system is undone: said at its end, for those who only tried it."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path

_SHOWN = 4
"""Files up to which a command names them all."""


def undo_sentence(installed: Sequence[Path], release: str) -> str:
    """What removes the modules `installed` of the kernel `release` again."""
    depmod = shlex.join(["depmod", release])
    if len(installed) > _SHOWN:
        return f"kbuildpy: to remove them again: delete these {len(installed)} files, then run {depmod}"
    return f"kbuildpy: to remove {_what(len(installed))} again: {shlex.join(['rm', *map(str, installed)])} && {depmod}"


def _what(count: int) -> str:
    return "it" if count == 1 else "them"
