"""From which version on the loader does what it does (kernel/module/ of 6.1, 6.12 and 7.3 were compared).

Neither a headers package nor an image says which variant of a stage its kernel has, so this is a table. Versions
between the three that were compared are from the kernel's history; stable releases may differ by what was put back
into them.
"""

from __future__ import annotations

ALTERNATIVE_FLAGS = (6, 3)
"""x86: an alternative has 16 bits of flags beside its 16 bits of feature."""

BTF_MISMATCH_ONCE = (6, 3)
"""Type information that is not taken is warned of once, where that does not stop a module."""

RELOCATIONS_CLEARED = (6, 3)
"""x86: relocations can be taken back, and overflow is looked for before the place."""

OLDEST = (6, 1)
"""Older kernels' loaders are not known here."""

ONE_TRAMPOLINE = (6, 2)
"""arm64: ftrace is reached through one trampoline in each module; before, two."""

MODULE_MEMORY = (6, 4)
"""`struct module_memory`: text, data, rodata and ro_after_init are allocated apart; before, core and init."""

EARLY_MOD_CHECK = (6, 4)
"""vermagic, livepatch and the name are looked at before memory is allocated, taints are set after; `__this_module` and
`.modinfo` must be there once, with the right size."""

PRINTK_WHOLE_RECORD = (6, 4)
"""A record of the log has room for 1,024 bytes of text; before, that of the console's prefix was taken off."""

DYNDBG_NOTIFIED = (6, 4)
"""lib/dynamic_debug.c hears of a module when that is announced; before, as soon as it is relocated."""

DYNDBG_SOURCE = (6, 4)
"""dyndbg= knows the flag "s"."""

ENDBR_SEALED = (6, 4)
"""x86: what patches ENDBR away is called apply_seal_endbr."""

SRCU_USAGE = (6, 4)
"""`struct srcu_struct` has a half of its own for updates, `struct srcu_usage`."""

ARM64_PREFIX = (6, 5)
"""arm64: PLT entries are there in every configuration, and messages begin with "Modules: "."""

PARAVIRT_IN_ALTERNATIVES = (6, 8)
"""x86: paravirt calls are alternatives; `.parainstructions` means nothing any more."""

EXECMEM = (6, 10)
"""Memory for modules is from mm/execmem.c, which says so when there is none."""

BTF_BASE = (6, 11)
"""Type information may bring the part of the kernel's that it was made with: `.BTF.base`."""

INIT_TRAMPOLINE = (6, 12)
"""arm64: init code has its own entries to reach ftrace by (in stable releases of 6.12, too)."""

SYSFS_REFUSES = (6, 12)
"""A module whose sections cannot have files in sysfs is refused."""

LIVEPATCH_TRACED = (6, 12)
"""Tracepoints of livepatch modules are taken."""

BOOL_ENABLE = (6, 14)
"""Truth values may be called "enable" and "disable", too."""

STRTAB_CHECKED = (6, 14)
"""The symbols' names are checked against their string table, and extended versions are read."""

EXECMEM_ROX = (6, 14)
"""Code of modules shares large pages, where the configuration has ARCH_HAS_EXECMEM_ROX."""

PERCPU_ADDRESSES = (6, 15)
"""x86: per-CPU variables have addresses like the kernel's; before, offsets from 0."""

PERCPU_PROFILED_UNTIL = (6, 15)
"""Up to then, profiling of allocations makes the reserve for per-CPU variables larger."""

SRCU_COUNTERS = (6, 15)
"""`struct srcu_struct` begins with a pointer to its counters."""

MODULE_NAMESPACES = (6, 16)
"""Namespaces `module:NAME,...` are for the modules named, and cannot be imported."""

DYNDBG_STACK = (6, 19)
"""dyndbg= knows the flag "d"."""

RELOCATION_PLACES = (6, 19)
"""x86 and livepatch: messages about a relocation name its section and number."""

WARNING_WITH_COMMAND = (6, 19)
"""WARN() says where first, then the processor, the command and its number."""

CALLBACKS_OF_KERNEL = (7, 0)
"""arm64: a function that patches an alternative must be the kernel's."""

BTF_LAYOUT = (7, 0)
"""Type information may have a third part, its layout."""

FLAGSTAB = (7, 0)
"""One `__ksymtab` for all, whose symbols have flags in `__kflagstab`; `__ksymtab_gpl` is obsolete."""

PERCPU_RELOCATED = (7, 0)
"""Relocations of the per-CPU section are applied although it is not allocated with the others."""
