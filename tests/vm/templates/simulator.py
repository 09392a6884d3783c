# SPDX-License-Identifier: GPL-2.0-only
"""The kernel's GPIO simulator for kernels of Debian's that were built without it, out of the same kernel's sources.

gpio-sim is a module like any other. The interrupts that it simulates come from irq_sim.c, which is part of the kernel
where it is configured; here that is a module, too, and reaches a descriptor in a way that modules may.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from kbuildpy.kernel.tree import KernelTree
from tests.support.packages import REVIEWERS_FILES, source_files

FOLDER = "gpio_simulator"
_LINES = ((6, 1), (6, 12))
_WRAPPER = """#include <linux/irq.h>
#include <linux/irqdesc.h>
#include <linux/module.h>
#define irq_to_desc(irq) irq_data_to_desc(irq_get_irq_data(irq))
#include "simulated.c"
MODULE_DESCRIPTION("Interrupt simulator");
MODULE_LICENSE("GPL");
"""


def can_be_simulated(tree: KernelTree) -> bool:
    """Whether the simulator can be built for `tree`, which does not have it."""
    return tree.version in _LINES


def lay_out_simulator(tree: KernelTree, place: Path) -> None:
    """Write the simulator's sources, with a Kbuild file, into the directory `place`."""
    sources = source_files("{}.{}".format(*tree.version), *REVIEWERS_FILES)
    place.mkdir()
    for name in ("gpio-sim.c", "gpiolib.h"):
        shutil.copy(sources / "drivers/gpio" / name, place)
    shutil.copy(sources / "kernel/irq/irq_sim.c", place / "simulated.c")
    (place / "irq_sim.c").write_text(_WRAPPER)
    (place / "Kbuild").write_text("obj-m += irq_sim.o gpio-sim.o\n")
