# SPDX-License-Identifier: GPL-2.0-only
"""The modules that a module needs before it.

The kernel does not load them (that is modprobe's work); it finds the owners of the symbols among the modules that are
loaded, and holds them.
"""

from __future__ import annotations

from kbuildpy.errors import KbuildError
from kbuildpy.kernel.needs_first import needs_first
from kbuildpy.loader.facts import Fact
from kbuildpy.loader.load_info import LoadInfo


def in_order(info: LoadInfo) -> tuple[str, ...]:
    """The owners of the symbols that the module uses, and what those need in turn, each after its own needs."""
    direct = {*info.requires}
    listed: set[str] = set()
    unknown: set[str] = set()

    def needs(name: str) -> tuple[str, ...]:
        """The modules that `name` needs: the loaded one, else the kernel's own module of that name."""
        loaded = info.modules.find(name)
        if loaded is not None:
            return loaded.uses
        if name in listed:
            # (the list that it is in has all that it needs)
            return ()
        try:
            below = info.kernel.own_modules.needs(name) if info.kernel.own_modules else None
        except KbuildError as error:
            info.not_checked(f"the modules that {name} needs", reason=error.message)
            return ()
        if below is None and name in direct:
            unknown.add(name)
        listed.update(below or ())
        return below or ()

    order = needs_first(info.requires, needs)
    # (a module that was not given is noted already)
    if unknown - {*(info.absent or ())}:
        info.not_checked("the modules that those it requires need", Fact.OWN_MODULES)
    return tuple(order)
