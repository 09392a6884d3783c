# SPDX-License-Identifier: GPL-2.0-only
"""Taints that a module sets (kernel/panic.c: add_taint, taint_flags; kernel/module/main.c: add_taint_module)."""

from __future__ import annotations

from kbuildpy.loader.facts import Fact
from kbuildpy.loader.load_info import LoadInfo

ORDER = "PFSRMBUDAWCIOELKXTNJ"
"""The letters in the order of their bits."""

LOCKS_OFF = frozenset("PFRMBD")
"""Taints that have switched lockdep off; a later one logs no line about it."""


def is_tainted(info: LoadInfo, letter: str) -> bool:
    """Return whether the kernel has a taint, from before or by this module (test_taint)."""
    return letter in info.kernel.tainted or letter in info.taints.kernel


def add_taint_module(info: LoadInfo, letter: str, *, lockdep_ok: bool = True, of_module: bool = True) -> None:
    """Set a taint in the kernel, and with `of_module` in the module. Without `lockdep_ok` the taint switches lockdep
    off, which the kernel logs the first time."""
    if not lockdep_ok and not any(is_tainted(info, each) for each in LOCKS_OFF):
        info.log("Disabling lock debugging due to kernel taint", taint=True)
    info.taints.kernel.add(letter)
    if of_module:
        info.taints.module.add(letter)


def try_to_force_load(info: LoadInfo, reason: str) -> bool:
    """Return whether the kernel loads the module in spite of `reason` (kernel/module/main.c: try_to_force_load): with
    CONFIG_MODULE_FORCE_LOAD, and taint F. Also True, as unchecked, if the configuration is not known."""
    forced = info.kernel.has("MODULE_FORCE_LOAD")
    if forced is None:
        info.not_checked(reason, Fact.CONFIG)
        return True
    if not forced:
        return False
    if not is_tainted(info, "F"):
        info.log(f"{info.mod_name}: {reason}: kernel tainted.", taint=True)
    add_taint_module(info, "F", lockdep_ok=False)
    return True


def letters(taints: set[str]) -> str:
    """Return the letters in the order in which the kernel prints them."""
    return "".join(letter for letter in ORDER if letter in taints)
