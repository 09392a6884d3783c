# SPDX-License-Identifier: GPL-2.0-only
"""`struct kernel_symbol`, an entry of `__ksymtab` (include/linux/export-internal.h, include/linux/module_symbol.h)."""

from __future__ import annotations

import struct

KERNEL_SYMBOL = struct.Struct("<iii")
"""Value, name and namespace, each a distance from its own place: CONFIG_HAVE_ARCH_PREL32_RELOCATIONS, which all 64-bit
machines that are known here have."""
KSYM_FLAG_GPL_ONLY = 1
"""The flag in `__kflagstab` of symbols that only GPL-compatible modules may use."""
