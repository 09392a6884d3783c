"""After relocation: kernel/module/main.c: post_relocation, and module_finalize of each machine.

The exception table is sorted, which cannot go wrong. Per-CPU variables are copied, and the code is patched.
"""

from __future__ import annotations

from kbuildpy.loader.load_info import LoadInfo


def post_relocation(info: LoadInfo) -> None:
    """Patch the module's code for the machine. Raises `Refusal` or `Undefined`, and logs what the kernel warns of."""
    # The variables' first values are in the file, even if the section says that it has none there.
    if info.index.pcpu:
        info.data_in_file(info.index.pcpu)
    # Here the name of the first section is looked at, too.
    info.section_name(0)
    if info.kernel.machine == "arm64":
        from kbuildpy.loader.stages.finalize_arm64 import module_finalize as module_finalize_arm64

        module_finalize_arm64(info)
    else:
        from kbuildpy.loader.stages.finalize_x86 import module_finalize as module_finalize_x86

        module_finalize_x86(info)
