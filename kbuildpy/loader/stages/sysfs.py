# SPDX-License-Identifier: GPL-2.0-only
"""Creates the module's directory below /sys/module: kernel/module/sysfs.c: mod_sysfs_setup.

Built-in code has directories there, too (`printk`). No kernel tree lists them; a name in the list of built-in modules
may have one.
"""

from __future__ import annotations

from contextlib import suppress

from kbuildpy.elf.constants import SHF_ALLOC
from kbuildpy.loader import since
from kbuildpy.loader.facts import Fact
from kbuildpy.loader.hints import AS_BUILT
from kbuildpy.loader.load_info import LoadInfo
from kbuildpy.loader.memory.data import Memory, SectionOffset
from kbuildpy.loader.parameters.destroy_params import destroy_params
from kbuildpy.loader.parameters.param_table import Elsewhere, entries, name_at, parameter_layout
from kbuildpy.loader.verdict import Undefined

_MODES = 0o10664
"""Permissions that a file in sysfs may have, and SYSFS_PREALLOC."""


def mod_sysfs_setup(info: LoadInfo) -> None:
    """Raise `Refusal` for a module without a name (EINVAL), and for two files of one name in its directory (EEXIST):
    each parameter and each loaded section has a file."""
    if not info.mod_name:
        message = "kobject: (<kobject>): attempted to be registered with empty name!"
        info.warn("lib/kobject.c", "kobject_add_internal", message)
        raise info.refuse("EINVAL", None, "the module has no name: its struct module is empty", AS_BUILT)
    built_in = info.kernel.own_modules.is_built_in(info.mod_name) if info.kernel.own_modules else None
    if built_in is None:
        info.not_checked(f"whether the kernel itself has a /sys/module/{info.mod_name}", Fact.OWN_MODULES)
    elif built_in:
        info.not_checked(f"whether the kernel's own {info.mod_name} has a /sys/module/{info.mod_name}")
    _check_parameters(info)
    if info.is_set("KALLSYMS"):
        _check_sections(info)


def _check_parameters(info: LoadInfo) -> None:
    """Read the name of each parameter that has a file, and check names and modes (kernel/params.c:
    module_param_sysfs_setup, fs/sysfs/group.c: create_files). `destroy_params` reads the pointers that the kernel
    follows when it removes the module."""
    memory = Memory(info)
    destroy_params(memory)
    seen = set()
    kept = True
    perm = parameter_layout(info).perm
    for section, start in entries(info):
        mode = memory.integer(SectionOffset(section, start + perm), 2)
        if mode:
            with suppress(Elsewhere):
                shown = name_at(memory, SectionOffset(section, start)).decode("utf-8", "surrogateescape")
                if mode & ~_MODES:
                    message = f"Attribute {shown}: Invalid permissions 0{mode:o}"
                    info.warn("fs/sysfs/group.c", "internal_create_group", message)
                if shown in seen:
                    raise info.refuse(
                        "EEXIST",
                        _duplicate(info, f"parameters/{shown}"),
                        f"two parameters are called {shown}, and each has a file in /sys/module",
                        "give each a name of its own: module_param_named()",
                    )
                seen.add(shown)
            name = memory.pointer(SectionOffset(section, start))
            kept = kept and not (
                isinstance(name, SectionOffset) and not info.sechdrs[name.section].sh_flags & SHF_ALLOC
            )
    if not kept:
        raise Undefined(
            info.stage,
            "the name of a parameter is not kept in memory, and the kernel reads it again when the module is removed",
            AS_BUILT,
        )


def _check_sections(info: LoadInfo) -> None:
    seen = set()
    for number, section in enumerate(info.sechdrs):
        if section.sh_flags & SHF_ALLOC and section.sh_size:
            name = info.section_name(number)
            if name in seen:
                line = _duplicate(info, f"sections/{name}")
                if info.kernel.version < since.SYSFS_REFUSES:
                    info.log(line)
                    return
                raise info.refuse(
                    "EEXIST",
                    line,
                    f"two sections are called {name}, and each has a file in /sys/module",
                    "link it again: ld -r joins sections of one name",
                )
            seen.add(name)


def _duplicate(info: LoadInfo, path: str) -> str:
    """The kernel's line about a file that exists already (fs/sysfs/dir.c: sysfs_warn_dup)."""
    # kobject_set_name_vargs() replaces slashes, because a name must not contain a directory.
    return f"sysfs: cannot create duplicate filename '/module/{info.mod_name.replace('/', '!')}/{path}'"
