# SPDX-License-Identifier: GPL-2.0-only
"""A Kbuild for SCons: builds, checks, signs and installs out-of-tree Linux kernel modules."""

__version__ = "0.1.0"
