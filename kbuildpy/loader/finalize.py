"""After relocation: kernel/module/main.c: post_relocation, and module_finalize of each machine.

The exception table is sorted and per-CPU variables are copied, which cannot go wrong; what can is patching the code.
"""

from __future__ import annotations

from kbuildpy.loader.load_info import LoadInfo


def post_relocation(info: LoadInfo) -> None:
    """Patch the module's code for the machine. Raises `Refusal` or `Undefined`, and logs what the kernel warns of."""
    # Here the name of the first section is looked at, too.
    info.section_name(0)
    if info.kernel.machine == "arm64":
        from kbuildpy.loader.finalize_arm64 import module_finalize as module_finalize_arm64

        module_finalize_arm64(info)
    else:
        from kbuildpy.loader.finalize_x86 import module_finalize as module_finalize_x86

        module_finalize_x86(info)
