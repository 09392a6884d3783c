# SPDX-License-Identifier: GPL-2.0-only
"""The machines whose loader is known, one room or file each: `x86_64/`, `arm64/`.

The stages are generic. Where the kernel calls a function of arch/*/kernel/, a stage calls it on `machine_of(info)`
(`machine`), and numbers that differ are in `info.machine` (`facts`). To add riscv64:

1. `kbuildpy/loader/machines/riscv.py` (the name is that of `str(kernel.architecture.Architecture)`): it sets
   `MACHINE = LoaderMachine(MachineFacts(...), ...)`. Add its name to `NAMES` below, and its relocation types to
   `kbuildpy/elf/relocation_types.py`. A machine of more than 300 lines becomes a room, as `arm64/` is: `relocate`,
   `finalize`, `frob`, `ftrace`.
2. A row in `kbuildpy/kernel/architecture.py` (names, machine number, compiler), if there is none, and one in
   `kbuildpy/vm/machine.py` (QEMU's machine, console), so that a real kernel can be the referee.
3. Tests: its relocations as in tests/unit/test_loader_relocate.py, and the referee (tests/vm/referee).
"""

NAMES = ("x86_64", "arm64")
"""The machines, as `LoaderKernel.machine` names them."""
KNOWN_MACHINES = " and ".join(NAMES)
"""The same for messages."""
