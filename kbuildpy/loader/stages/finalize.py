# SPDX-License-Identifier: GPL-2.0-only
"""What the kernel does after relocation: kernel/module/main.c: post_relocation, and module_finalize of each machine.

The kernel copies per-CPU variables and patches the code. It also sorts the exception table, which cannot fail.
"""

from __future__ import annotations

from kbuildpy.loader.load_info import LoadInfo
from kbuildpy.loader.machines.machine import machine_of


def post_relocation(info: LoadInfo) -> None:
    """Patch the module's code for the machine. Raises `Refusal` or `Undefined`, and logs the kernel's warnings."""
    # The kernel copies the initial values from the file, even if the section is of type SHT_NOBITS.
    if info.index.pcpu:
        info.data_in_file(info.index.pcpu)
    # module_finalize() compares the name of section 0, too.
    info.section_name(0)
    machine_of(info).module_finalize(info)
