# SPDX-License-Identifier: GPL-2.0-only
"""What a kernel was compiled to expect of every module, as values.

`kbuild.ask_module_facts` asks a kernel tree's compiler for them; of an installed kernel they are read from its image
and its modules.
"""

from __future__ import annotations

from typing import NamedTuple


class ModuleStruct(NamedTuple):
    """`struct module`: its size, and where `name` (and how long), `init` and `exit` are, in bytes; `exit` is None in a
    kernel that unloads no modules (CONFIG_MODULE_UNLOAD)."""

    size: int
    name: tuple[int, int]
    init: int
    exit: int | None


class ModuleFacts(NamedTuple):
    """`vermagic` is VERMAGIC_STRING to the byte (on x86 it ends in a space), `struct_module` that of the kernel."""

    vermagic: str
    struct_module: ModuleStruct
