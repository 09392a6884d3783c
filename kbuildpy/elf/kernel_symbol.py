# SPDX-License-Identifier: GPL-2.0-only
"""`struct kernel_symbol`, an entry of `__ksymtab` (include/linux/export-internal.h, include/linux/module_symbol.h)."""

from __future__ import annotations

import struct

from kbuildpy.elf.constants import EM_ARM, EM_PPC64, EM_RISCV, EM_S390

KERNEL_SYMBOL = struct.Struct("<iii")
"""Value, name and namespace, each a distance from its own place, where the machine has
CONFIG_HAVE_ARCH_PREL32_RELOCATIONS. Elsewhere they are addresses."""
ADDRESSES = frozenset({EM_RISCV, EM_ARM, EM_PPC64, EM_S390})
"""The machines (e_machine) whose kernels have addresses there, and in other tables that elsewhere have distances."""
KSYM_FLAG_GPL_ONLY = 1
"""The flag in `__kflagstab` of symbols that only GPL-compatible modules may use."""


def field_size(e_machine: int) -> int:
    """Bytes of each of the three fields of an entry."""
    return 8 if e_machine in ADDRESSES and e_machine != EM_ARM else 4
