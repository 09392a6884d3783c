# SPDX-License-Identifier: GPL-2.0-only
"""The modules that must be loaded before a module.

The kernel does not load them (modprobe does). It finds the owners of the symbols among the loaded modules, and takes a
reference to each.
"""

from __future__ import annotations

from kbuildpy.errors import KbuildError
from kbuildpy.kernel.needs_first import needs_first
from kbuildpy.loader.facts import Fact
from kbuildpy.loader.load_info import LoadInfo


def in_order(info: LoadInfo) -> tuple[str, ...]:
    """Return the names of the modules that export symbols to this one, and of those that they need, directly or
    indirectly; each comes after the modules that it needs."""
    direct = {*info.requires}
    listed: set[str] = set()
    unknown: set[str] = set()

    def needs(name: str) -> tuple[str, ...]:
        """The modules that `name` needs: the loaded one, else the kernel's own module of that name."""
        loaded = info.modules.find(name)
        if loaded is not None:
            return loaded.uses
        if name in listed:
            # `name` is in the transitive list of another module, which has the needs of `name`, too.
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
    # `symbols` has recorded the absent modules as unchecked already.
    if unknown - {*(info.absent or ())}:
        info.not_checked("the modules that those it requires need", Fact.OWN_MODULES)
    return tuple(order)
