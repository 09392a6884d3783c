# SPDX-License-Identifier: GPL-2.0-only
"""Remedies that several stages give. One that only a single place gives stands there."""

from __future__ import annotations

DAMAGED = "the file is damaged; build it again"
AS_BUILT = "build it again, and load the file as the build leaves it: a tool may have changed it after the link"
TABLES = "build it again for this kernel, with its headers and its objtool, and load the file as the build leaves it"
FLAGS = "compile it with the flags of the kernel tree, as make and kbuildpy build do"
MODULE_LDS = "link it with the module linker script of the kernel tree (scripts/module.lds)"
TYPES = "build the module again with this kernel's vmlinux, or without: objcopy --remove-section .BTF"
LIVEPATCH = (
    "build the live patch with the tools that were made for it (klp-build, kpatch-build), as they write such names"
)
PARAMETER_TYPE = "declare the parameter with module_param() and a variable of the type that it names"
PARAMETER_OPS = "give module_param_cb() a struct kernel_param_ops of the module, whose set and free are functions"
WRITABLE = "declare the variable without const and __initdata; if the source has neither, a tool has changed the file"
