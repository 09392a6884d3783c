# SPDX-License-Identifier: GPL-2.0-only
"""Formats the list of loaded modules as /proc/modules and lsmod do."""

from __future__ import annotations

from kbuildpy.loader.kernel import LoaderKernel
from kbuildpy.loader.loaded import Modules

_STATES = {"COMING": "Loading", "LIVE": "Live", "GOING": "Unloading"}
_MARKS = {"COMING": "+", "LIVE": "", "GOING": "-"}


def proc_modules(modules: Modules, kernel: LoaderKernel) -> list[str]:
    """Return the lines of /proc/modules. The addresses are 0, as for users without privileges (kernel/module/procfs.c:
    m_show)."""
    lines = []
    for module in modules.loaded:
        if module.state == "UNFORMED":
            continue
        held = "- -"
        if kernel.has("MODULE_UNLOAD") is not False:
            names = [*modules.users_of(module.name), *(["[permanent]"] if module.is_permanent else [])]
            held = f"{modules.refcount(module)} {''.join(name + ',' for name in names) or '-'}"
        taints = f" ({module.taints}{_MARKS[module.state]})" if module.taints else ""
        lines.append(f"{module.name} {module.shown_size} {held} {_STATES[module.state]} 0x{0:016x}{taints}")
    return lines


def lsmod(modules: Modules) -> list[str]:
    """Return the lines that kmod's lsmod prints.

    The order of users may differ from the real one: lsmod reads them from /sys, which orders them by a hash.
    """
    lines = [f"{'Module':<19} {'Size':>8}  Used by"]
    for module in modules.loaded:
        if module.state != "UNFORMED":
            users = ",".join(modules.users_of(module.name))
            held = f"{modules.refcount(module)} {users}".rstrip()
            lines.append(f"{module.name:<19} {module.shown_size:>8}  {held}")
    return lines
