# SPDX-License-Identifier: GPL-2.0-only
"""The modules that a module needs before it.

The kernel does not load them (that is modprobe's work); it finds the owners of the symbols among the modules that are
loaded, and holds them.
"""

from __future__ import annotations

from kbuildpy.errors import KbuildError
from kbuildpy.loader.facts import Fact
from kbuildpy.loader.load_info import LoadInfo


def in_order(info: LoadInfo) -> tuple[str, ...]:
    """The owners of the symbols that the module uses, and what those need in turn, each after its own needs."""
    order: list[str] = []
    unknown = False
    for owner in info.requires:
        try:
            below = _needs(info, owner)
        except KbuildError as error:
            info.not_checked(f"the modules that {owner} needs", reason=error.message)
            below = ()
        # (a module that was not given is noted already)
        unknown = unknown or (below is None and owner not in (info.absent or ()))
        order += [name for name in (*(below or ()), owner) if name not in order]
    if unknown:
        info.not_checked("the modules that those it requires need", Fact.OWN_MODULES)
    return tuple(order)


def _needs(info: LoadInfo, name: str) -> tuple[str, ...] | None:
    """The modules that `name` needs: the loaded one, else the kernel's own module of that name."""
    loaded = info.modules.find(name)
    if loaded is None:
        return info.kernel.own_modules.needs(name) if info.kernel.own_modules else None
    order: list[str] = []
    for below in loaded.uses:
        order += [item for item in (*(_needs(info, below) or ()), below) if item not in order]
    return tuple(order)
