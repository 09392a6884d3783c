# SPDX-License-Identifier: GPL-2.0-only
"""The machines whose loader is known, one room or file each: `x86_64/`, `arm64/`, `riscv/`, and as far as the layout of
the memory `i386`, `arm`, `powerpc` and `s390`.

The stages are generic. Where the kernel calls a function of arch/*/kernel/, a stage calls the counterpart on
`machine_of(info)` (`machine.py`). The numbers of the machine are in `info.machine` (`facts.py`). To add loongarch:

1. `kbuildpy/loader/machines/loongarch.py` (the name is that of `str(kernel.architecture.Architecture)`): it sets
   `MACHINE = LoaderMachine(MachineFacts(...), ...)`, or `partly_known(...)` if it is to be known as far as the layout
   only. Add its name to `WHOLE` or `NAMES` below, and its relocation types to
   `kbuildpy/elf/relocation_types.py`. A machine of more than 300 lines becomes a room, as `arm64/` is: `relocate`,
   `finalize`, `frob`, `ftrace`.
2. A row in `kbuildpy/kernel/architecture.py` (names, machine number, compiler), if there is none, and one in
   `kbuildpy/vm/machine.py` (QEMU's machine, console), so that verdicts can be compared with a running kernel's.
3. Tests: the relocations as in tests/unit/test_loader_relocate.py, and the comparison with a running kernel
   (tests/vm/referee).
"""

WHOLE = ("x86_64", "arm64", "riscv")
"""The machines whose part of the loader is known as a whole, as in `LoaderKernel.machine`."""
NAMES = (*WHOLE, "i386", "arm", "powerpc", "s390")
"""Those, and the machines of whose part only the beginning is known (`partly`)."""


def listed(names: tuple[str, ...]) -> str:
    """Return names of machines as messages list them."""
    return f"{', '.join(names[:-1])} and {names[-1]}"
