# SPDX-License-Identifier: GPL-2.0-only
"""The same modules for another kernel: what `RunModule(kernels=...)` declares of modules that were declared for one."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from kbuildpy.errors import UsageError
from kbuildpy.scons.begin_session import session_of

_KERNEL = ("KDIR", "KERNELRELEASE")


def declared_again(env: Any, declare: Callable[[str], list[Any]]) -> list[Any]:
    """The nodes of the modules that `declare` declares for the kernel that a user chose (""), which remember how they
    are declared for another one: in the same directory, whichever SConscript file is read by then."""
    session = session_of(env)
    place = env.fs.getcwd()
    nodes = declare("")
    for node in nodes:
        session.show_by_default(node.get_abspath())
    others: dict[str, list[Any]] = {}

    def again(kernel: str) -> list[Any]:
        if kernel not in others:
            now = env.fs.getcwd()
            env.fs.chdir(place)
            try:
                others[kernel] = declare(kernel)
            finally:
                env.fs.chdir(now)
        return others[kernel]

    for node in nodes:
        node.attributes.kbuildpy_again = again
    return nodes


def for_kernel(variables: Mapping[str, Any], kernel: str) -> dict[str, Any]:
    """The variables of a declaration for the kernel tree at `kernel` in place of the one that they name."""
    return {**{name: value for name, value in variables.items() if name not in _KERNEL}, "KDIR": kernel}


def nodes_for(call: str, nodes: Sequence[Any], kernel: str) -> list[Any]:
    """The modules `nodes`, declared for the kernel tree at `kernel`. Raises `UsageError` for a module that was not
    declared, or that this kernel's configuration leaves out."""
    found = []
    for node in nodes:
        again = getattr(node.attributes, "kbuildpy_again", None)
        if again is None:
            raise UsageError(
                f"{call}: kernels: {node} was not declared with KernelModule() or Kbuild(), so that it cannot be built "
                "for another kernel",
                hint="name what these return; a signed module is run as its unsigned one",
            )
        other = next((each for each in again(kernel) if each.name == node.name), None)
        if other is None:
            raise UsageError(f"{call}: kernels: {node.name} is not built for {kernel}: its Kbuild file leaves it out")
        found.append(other)
    return found
