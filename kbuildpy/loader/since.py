"""From which version on the loader does what it does (kernel/module/ of 6.1, 6.12 and 7.3 were compared).

Neither a headers package nor an image says which variant of a stage its kernel has, so this is a table. Versions
between the three that were compared are from the kernel's history; stable releases may differ by what was put back
into them.
"""

from __future__ import annotations

MODULE_MEMORY = (6, 4)
"""`struct module_memory`: text, data, rodata and ro_after_init are allocated apart; before, core and init."""

EARLY_MOD_CHECK = (6, 4)
"""vermagic, livepatch and the name are looked at before memory is allocated, taints are set after; `__this_module` and
`.modinfo` must be there once, with the right size."""

PRINTK_WHOLE_RECORD = (6, 4)
"""A record of the log has room for 1,024 bytes of text; before, that of the console's prefix was taken off."""

DYNDBG_SOURCE = (6, 4)
"""dyndbg= knows the flag "s"."""

BOOL_ENABLE = (6, 14)
"""Truth values may be called "enable" and "disable", too."""

STRTAB_CHECKED = (6, 14)
"""The symbols' names are checked against their string table, and extended versions are read."""

MODULE_NAMESPACES = (6, 16)
"""Namespaces `module:NAME,...` are for the modules named, and cannot be imported."""

DYNDBG_STACK = (6, 19)
"""dyndbg= knows the flag "d"."""

FLAGSTAB = (7, 0)
"""One `__ksymtab` for all, whose symbols have flags in `__kflagstab`; `__ksymtab_gpl` is obsolete."""

PERCPU_RELOCATED = (7, 0)
"""Relocations of the per-CPU section are applied although it is not allocated with the others."""

ALL_TAINTS_SHOWN = (7, 0)
"""/proc/modules shows every taint of a module; before, some were for the kernel only."""
