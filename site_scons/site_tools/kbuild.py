# SPDX-License-Identifier: GPL-2.0-only
"""Registers the tool: `Environment(tools=["default", "kbuild"])`. The tool itself is `kbuildpy.scons`."""

from kbuildpy.scons import exists, generate

__all__ = ["exists", "generate"]
