# SPDX-License-Identifier: GPL-2.0-only
"""Taints that a module brings (kernel/panic.c: add_taint, taint_flags; kernel/module/main.c: add_taint_module)."""

from __future__ import annotations

from kbuildpy.loader.facts import Fact
from kbuildpy.loader.load_info import LoadInfo

ORDER = "PFSRMBUDAWCIOELKXTNJ"
"""The letters in the order of their bits."""

LOCKS_OFF = frozenset("PFRMBD")
"""Taints after which lockdep is switched off already, without a line."""


def is_tainted(info: LoadInfo, letter: str) -> bool:
    """Whether the kernel has a taint by now (test_taint)."""
    return letter in info.kernel.tainted or letter in info.taints.kernel


def add_taint_module(info: LoadInfo, letter: str, *, lockdep_ok: bool = True, of_module: bool = True) -> None:
    """Set a taint in the kernel and in the module. A taint that makes lockdep unreliable switches it off, which the
    kernel logs the first time."""
    if not lockdep_ok and not any(is_tainted(info, each) for each in LOCKS_OFF):
        info.log("Disabling lock debugging due to kernel taint", taint=True)
    info.taints.kernel.add(letter)
    if of_module:
        info.taints.module.add(letter)


def try_to_force_load(info: LoadInfo, reason: str) -> bool:
    """Whether a kernel takes a module although `reason` speaks against it: with CONFIG_MODULE_FORCE_LOAD, and a taint
    (kernel/module/main.c: try_to_force_load). It logs no reason for a refusal."""
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
    """Taints as the kernel prints them."""
    return "".join(letter for letter in ORDER if letter in taints)
