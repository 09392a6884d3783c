# SPDX-License-Identifier: GPL-2.0-only
"""Licences that make a module GPL-compatible: for modpost, which refuses GPL-only symbols to the others, and for the
loader check, which taints the kernel (include/linux/license.h: license_is_gpl_compatible)."""

GPL_COMPATIBLE = frozenset(
    {"GPL", "GPL v2", "GPL and additional rights", "Dual BSD/GPL", "Dual MIT/GPL", "Dual MPL/GPL"}
)
"""The values of MODULE_LICENSE() that the kernel takes for compatible with its own licence."""
