# SPDX-License-Identifier: GPL-2.0-only
"""After relocation: kernel/module/main.c: post_relocation, and module_finalize of each machine.

The exception table is sorted, which cannot go wrong. Per-CPU variables are copied, and the code is patched.
"""

from __future__ import annotations

from kbuildpy.loader.load_info import LoadInfo
from kbuildpy.loader.machines.machine import machine_of


def post_relocation(info: LoadInfo) -> None:
    """Patch the module's code for the machine. Raises `Refusal` or `Undefined`, and logs the kernel's warnings."""
    # The variables' first values are in the file, even if the section says that it has none there.
    if info.index.pcpu:
        info.data_in_file(info.index.pcpu)
    # The kernel reads the name of the first section here, too.
    info.section_name(0)
    machine_of(info).module_finalize(info)
