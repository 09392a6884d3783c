# SPDX-License-Identifier: GPL-2.0-only
"""The versions from which on the loader behaves differently.

Neither a headers package nor an image says which variant of a stage its kernel has, so this is a table. The stages of
6.1, 6.12 and 7.3 were compared with running kernels; when something came in between was read in the sources of nearly
every minor version. A change that stable lines took over names the first release of each as well; a kernel whose
release has no such number (`6.8.0-45-generic`) is taken for the line's first.
"""

from __future__ import annotations

Version = tuple[int, ...]
"""Major, minor and, of a stable release, which one it is."""


def has(version: Version, since: tuple[Version, ...]) -> bool:
    """Whether a kernel of `version` has the change that came with the first version of `since`, or with one of the
    others, a stable release, in its own line."""
    mainline, *stable = since
    return version >= mainline or any(version[:2] == release[:2] and version >= release for release in stable)


OLDEST = (6, 1)
"""Older kernels' loaders are not known here."""

ENDBR_SEALED = (6, 2)
"""x86: the function that patches ENDBR away, and warns, is called poison_endbr."""

ONE_TRAMPOLINE = (6, 2)
"""arm64: ftrace is reached through one trampoline in each module; before, two."""

ALTERNATIVE_FLAGS = (6, 3)
"""x86: an alternative has 16 bits of flags beside its 16 bits of feature."""

BTF_MISMATCH_ONCE = (6, 3)
"""Type information that is not taken is warned of once, where that does not stop a module, and without saying which
type is wrong."""

LIVEPATCH_TRACED = (6, 3)
"""Tracepoints of livepatch modules are taken."""

PRINTK_WHOLE_RECORD = (6, 3)
"""A record of the log has room for 1,024 bytes of text; before, that of the console's prefix was taken off."""

RELOCATIONS_CLEARED = (6, 3)
"""x86: relocations can be cleared, and overflow is checked before the place."""

DYNDBG_NOTIFIED = (6, 4)
"""lib/dynamic_debug.c hears of a module when that is announced; before, as soon as it is relocated."""

EARLY_MOD_CHECK = (6, 4)
"""vermagic, livepatch and the name are checked before memory is allocated, taints are set after; `__this_module` and
`.modinfo` must be there once, with the right size."""

MODULE_MEMORY = (6, 4)
"""`struct module_memory`: text, data, rodata and ro_after_init are allocated apart; before, core and init."""

SRCU_USAGE = (6, 4)
"""`struct srcu_struct` has a half of its own for updates, `struct srcu_usage`."""

ARM64_PREFIX = (6, 5)
"""arm64: PLT entries are there in every configuration, and messages begin with "Modules: "."""

DYNDBG_SOURCE = (6, 6)
"""dyndbg= knows the flag "s"."""

BTF_SECTION_NAMES = (6, 8)
"""Names of sections in type information may be all that can be printed; before, they were identifiers."""

DIRECT_CALLS = (6, 8)
"""x86: an alternative may stand for an indirect call, by a flag."""

PARAVIRT_IN_ALTERNATIVES = (6, 8)
"""x86: paravirt calls are alternatives; `.parainstructions` means nothing any more."""

EXECMEM = (6, 10)
"""Memory for modules comes from mm/execmem.c, which logs a line when there is none left."""

BTF_BASE = (6, 11)
"""Type information may bring the part of the kernel's that it was made with: `.BTF.base`."""

NESTED_ALTERNATIVES = (6, 11)
"""x86: alternatives for one place have all the room of the longest."""

SYSFS_REFUSES = (6, 12)
"""A module whose sections cannot have files in sysfs is refused."""

STRTAB_CHECKED = (6, 13)
"""The symbols' names are checked against their string table."""

VALIDITY_SPLIT = ((6, 13), (6, 12, 113))
"""elf_validity_cache_copy() has a function for each concern, and with them another order of its checks."""

EXTENDED_VERSIONS = (6, 14)
"""Versions may be in `__version_ext_crcs` and `__version_ext_names`, where a name can have any length."""

BTF_TAG_FLAGS = (6, 15)
"""Tags in type information may have the flag of their kind: they are attributes then."""

EXECMEM_ROX = (6, 15)
"""Code of modules shares large pages, where the configuration has ARCH_HAS_EXECMEM_ROX."""

PERCPU_ADDRESSES = (6, 15)
"""x86: per-CPU variables have addresses like the kernel's; before, offsets from 0."""

PERCPU_PROFILED_UNTIL = (6, 15)
"""Up to then, profiling of allocations makes the reserve for per-CPU variables larger."""

PARANOID_CALLS = (6, 15)
"""x86: before a call is taken for a retpoline, the byte before its destination is read."""

ALL_RO_AFTER_INIT = (6, 16)
"""All sections that are to be read-only after init become so, `.static_call_sites` too; before, the first of a name."""

BOOL_ENABLE = (6, 16)
"""Truth values may be called "enable" and "disable", too."""

MODULE_NAMESPACES = (6, 16)
"""Namespaces `module:NAME,...` are for the modules named, and cannot be imported."""

PERCPU_RELOCATED = (6, 16)
"""Relocations of the per-CPU section are applied although it is not allocated with the others."""

INIT_TRAMPOLINE = ((6, 17), (6, 16, 6), (6, 12, 46))
"""arm64: init code has its own entries to reach ftrace by."""

CALLBACKS_OF_KERNEL = (6, 18)
"""arm64: a function that patches an alternative must be the kernel's."""

DYNDBG_STACK = (6, 19)
"""dyndbg= knows the flag "d"."""

RELOCATION_PLACES = (6, 19)
"""x86 and livepatch: messages about a relocation name its section and number."""

SRCU_READERS = (6, 19)
"""`struct srcu_struct` has the kind of its readers before it comes to `struct srcu_usage`."""

WARNING_WITH_COMMAND = (6, 19)
"""WARN() says where first, then the processor, the command and its number."""

PATCH_SITES = (7, 0)
"""x86: alternatives are put together for each place, and nothing behind it is written to."""

BTF_TAG_ORDER = (7, 1)
"""Type tags may come behind other modifiers."""

BTF_WIDE_INFO = (7, 1)
"""Type information counts to 24 bits, and has kinds of 7 bits."""

BTF_LAYOUT = (7, 1)
"""Type information may have a third part, its layout."""

FLAGSTAB = (7, 1)
"""One `__ksymtab` for all, whose symbols have flags in `__kflagstab`; `__ksymtab_gpl` is obsolete."""

TABLE_TYPES = ((7, 2), (6, 12, 113))
"""Tables of names must be of type SHT_STRTAB."""
