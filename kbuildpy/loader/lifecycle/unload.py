# SPDX-License-Identifier: GPL-2.0-only
"""delete_module(2) and the reference counts of loaded modules (kernel/module/main.c)."""

from __future__ import annotations

import os
from dataclasses import dataclass

from kbuildpy.loader.kernel import LoaderKernel
from kbuildpy.loader.loaded import Modules
from kbuildpy.loader.stages.taints import LOCKS_OFF


@dataclass(frozen=True)
class Unloading:
    """The result of delete_module(2)."""

    errno: str | None
    """The name of the errno; None if the module is unloaded."""
    reason: str
    """The result and its reason, as a sentence."""
    modules: Modules
    """The modules that are loaded afterwards."""
    lines: tuple[str, ...] = ()
    """The lines that the kernel logs."""
    taints: str = ""
    """The letters of the taints that the call sets in the kernel."""
    hint: str = ""
    """What to do about a refusal."""


def delete_module(modules: Modules, name: str, kernel: LoaderKernel, *, flags: int = 0) -> Unloading:
    """Return the result of delete_module(2) of `kernel` for the module `name`.

    The kernel checks, in this order, other modules that use it, the state, the exit function, and other references.
    With O_TRUNC in `flags`, the last two do not matter if the kernel has CONFIG_MODULE_FORCE_UNLOAD. The module's exit
    function is not run, so its log lines are not known.
    """
    if kernel.has("MODULE_UNLOAD") is False:
        return Unloading(
            "ENOSYS",
            "the kernel cannot unload modules (CONFIG_MODULE_UNLOAD)",
            modules,
            hint="boot again, or take a kernel with CONFIG_MODULE_UNLOAD",
        )
    module = modules.find(name)
    if module is None or module.state == "UNFORMED":
        return Unloading("ENOENT", f"{name} is not loaded", modules, hint="lsmod shows what is loaded, and its names")
    users = modules.users_of(name)
    if users:
        return Unloading(
            "EWOULDBLOCK",
            f"{name} is used by {', '.join(users)}",
            modules,
            hint="unload those first: modprobe -r does, for those that nobody uses",
        )
    if module.state == "COMING":
        return Unloading(
            "EBUSY",
            f"{name} is being loaded",
            modules,
            hint="wait for the end of its init function; if that hangs, boot again",
        )
    if module.state != "LIVE":
        return Unloading(
            "EBUSY",
            f"{name} is being unloaded",
            modules,
            hint="wait for the end of its exit function; if that hangs, boot again",
        )
    forcing = bool(flags & os.O_TRUNC) and kernel.has("MODULE_FORCE_UNLOAD") is not False
    if module.is_permanent and not forcing:
        return Unloading(
            "EBUSY",
            f"{name} has an init function and no exit function",
            modules,
            hint="give it a module_exit() function; of one that is loaded, rmmod -f needs CONFIG_MODULE_FORCE_UNLOAD",
        )
    if module.references and not forcing:
        count = module.references
        holders = f"{count} other holder{'s' if count > 1 else ''}, such as an open file"
        return Unloading(
            "EWOULDBLOCK", f"{name} has {holders}", modules, hint="close what holds it: lsof, fuser, umount, ip link"
        )
    if not module.is_permanent and not module.references:
        return Unloading(None, f"{name} is unloaded", modules.without(name))
    lines = () if LOCKS_OFF.intersection(kernel.tainted) else ("Disabling lock debugging due to kernel taint",)
    return Unloading(None, f"{name} is unloaded by force", modules.without(name), lines, "R")


def try_module_get(modules: Modules, name: str) -> Modules | None:
    """Return `modules` with one more reference to `name`, as opening one of its files takes; None if it is not loaded,
    or is being unloaded."""
    module = modules.find(name)
    if module is None or module.state == "GOING":
        return None
    return modules.changed(name, references=1)


def module_put(modules: Modules, name: str) -> Modules | None:
    """Return `modules` with one reference less to `name`; None if it is not loaded or has none."""
    module = modules.find(name)
    if module is None or not module.references:
        return None
    return modules.changed(name, references=-1)
