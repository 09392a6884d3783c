"""The module gets its directory below /sys/module: kernel/module/sysfs.c: mod_sysfs_setup.

What is missing here: a name that code in the kernel itself has taken (`printk`). No kernel tree tells them.
"""

from __future__ import annotations

from kbuildpy.elf.constants import SHF_ALLOC
from kbuildpy.loader import since
from kbuildpy.loader.load_info import LoadInfo
from kbuildpy.loader.sites import is_set, warn


def mod_sysfs_setup(info: LoadInfo) -> None:
    """A file for each section that is kept: their names must differ. So must the module have one."""
    if not info.mod_name:
        message = "kobject: (<kobject>): attempted to be registered with empty name!"
        warn(info, "lib/kobject.c", "kobject_add_internal", message)
        raise info.refuse("EINVAL", None, "the module has no name", "build it with modpost: kbuildpy build")
    if not is_set(info, "KALLSYMS"):
        return
    seen = set()
    for number, section in enumerate(info.sechdrs):
        if section.sh_flags & SHF_ALLOC and section.sh_size:
            name = info.section_name(number)
            if name in seen:
                _duplicate(info, name)
                return
            seen.add(name)


def _duplicate(info: LoadInfo, name: str) -> None:
    # (a slash in the module's name would be a directory)
    line = f"sysfs: cannot create duplicate filename '/module/{info.mod_name.replace('/', '!')}/sections/{name}'"
    if info.kernel.version < since.SYSFS_REFUSES:
        info.log(line)
        return
    raise info.refuse("EEXIST", line, f"two sections are called {name}", "link it again: ld -r joins them")
