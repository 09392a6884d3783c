# SPDX-License-Identifier: GPL-2.0-only
"""Trials, and what a guest says of them, written down for the tests of `kbuildpy run` without a kernel."""

from __future__ import annotations

from pathlib import Path

from kbuildpy.elf import ModuleImage
from kbuildpy.vm.machine import X86_64
from kbuildpy.vm.module_call import module_call
from kbuildpy.vm.trial import Trial

PACKAGE = Path(__file__).parents[2] / "kbuildpy/vm"


def trial(name: str, *, needs: tuple[str, ...] = (), likes: tuple[str, ...] = (), given: bool = True) -> Trial:
    """The trial of a module `name` that needs and likes other modules; `given`: on the command line."""
    image = ModuleImage(EMPTY, f"{name}.ko")
    return Trial(name, Path(f"{name}.ko"), image, needs=needs, likes=likes, given=given)


EMPTY = module_call(X86_64)  # (any ELF file will do: nothing in it is looked at)


MARKER = "kbuildpy-0123"


OOPS = [
    "BUG: kernel NULL pointer dereference, address: 0000000000000000",
    "#PF: supervisor write access in kernel mode",
    "RIP: 0010:init+0x10/0xff0 [{}]",
    "---[ end trace 0000000000000000 ]---",
]


def boot(*lines: str) -> list[str]:
    """The reports of a guest that is ready and then says `lines`."""
    return [f"{MARKER}: {line}" for line in ("ready 6.1", *lines)]


SHUTDOWN = [
    "BUG left (Tainted: G           OE     ): Objects remaining on __kmem_cache_shutdown()",
    "Object 0x0000000017baba49 @offset=1800",
    "------------[ cut here ]------------",
    "WARNING: CPU: 0 PID: 150 at mm/slub.c:1152 __kmem_cache_shutdown+0x246/0x320",
    "---[ end trace 0000000000000000 ]---",
    "------------[ cut here ]------------",
    "kmem_cache_destroy left: Slab cache still has objects when called from __do_sys_delete_module+0x1b8/0x350",
    "WARNING: CPU: 0 PID: 150 at mm/slab_common.c:548 kmem_cache_destroy+0x13f/0x150",
    "---[ end trace 0000000000000000 ]---",
]
