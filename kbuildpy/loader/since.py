# SPDX-License-Identifier: GPL-2.0-only
"""The kernel versions that changed the behaviour of the loader.

Neither a headers package nor an image shows which variant of a stage its kernel has, so the version decides; a change
that was backported to stable lines also names the first release of each line (`kernel.release.has_change`).
docs/kernel-versions.md says of each how it is known, and which lines were compared with running kernels. A kernel that
tells no stable number (`6.8.0-45-generic`) counts as the first of its line.
"""

from __future__ import annotations

OLDEST = (6, 1)
"""The oldest version whose loader is known."""

ABI_CHECKED = (6, 2)
"""powerpc: the kernel compares the version of the ABI in the ELF header (module_elf_check_arch)."""

ENDBR_SEALED = (6, 2)
"""x86: the function that removes ENDBR, and warns, is called poison_endbr; before, apply_ibt_endbr."""

ONE_TRAMPOLINE = (6, 2)
"""arm64: a module has one trampoline to ftrace; before, two."""

ALTERNATIVE_FLAGS = (6, 3)
"""x86: struct alt_instr has 16 bits of flags after the 16 bits of the feature."""

BTF_MISMATCH_ONCE = (6, 3)
"""If a kernel accepts modules with invalid type information, it warns once, and does not name the invalid type."""

LIVEPATCH_TRACED = (6, 3)
"""The kernel creates the trace events of livepatch modules, too."""

PRINTK_WHOLE_RECORD = (6, 3)
"""A record of the log holds 1,024 bytes of text; before, less by the length of the console's prefix."""

RELOCATIONS_CLEARED = (6, 3)
"""x86: the kernel can clear relocations, and it checks for overflow before it checks that the place is zero."""

RISCV_RELATIVE_ALTERNATIVES = (6, 3)
"""riscv: alternatives name code by distances, and extensions by number; before, by addresses, and two features."""

RISCV_SIXTEEN_BITS = (6, 3)
"""riscv: R_RISCV_ADD16 and R_RISCV_SUB16 are known."""

DYNDBG_NOTIFIED = (6, 4)
"""lib/dynamic_debug.c has a module notifier; before, load_module() calls it after the relocation."""

EARLY_MOD_CHECK = (6, 4)
"""vermagic, livepatch and the name are checked before memory is allocated, and taints are set after. There must
be exactly one `__this_module`, of the right size, and at most one `.modinfo`."""

MODULE_MEMORY = (6, 4)
"""`struct module_memory`: text, data, rodata and ro_after_init are blocks of their own; before, there were two blocks,
core and init."""

SRCU_USAGE = (6, 4)
"""The part of `struct srcu_struct` for updates is a structure of its own, `struct srcu_usage`."""

ARM64_PREFIX = (6, 5)
"""arm64: every configuration supports PLT entries, and messages begin with "Modules: "."""

DYNDBG_SOURCE = (6, 6)
"""dyndbg= accepts the flag "s"."""

RISCV_ACCUMULATION = (6, 7)
"""riscv: all types of static linking are known; sums and differences of one place are accumulated."""

DIRECT_CALLS = (6, 8)
"""x86: an alternative may replace an indirect call by a direct one (ALT_FLAG_DIRECT_CALL)."""

PARAVIRT_IN_ALTERNATIVES = (6, 8)
"""x86: paravirt calls are alternatives; the kernel ignores `.parainstructions`."""

ARM64_PLTS_COUNTED = ((6, 7), (6, 6, 3), (6, 5, 13))
"""arm64: branches are counted for the PLT in every configuration; before, only with CONFIG_RANDOMIZE_BASE."""

BTF_SECTION_NAMES = (6, 9)
"""Section names in type information may have any printable characters; before, they had to be identifiers."""

EXECMEM = (6, 10)
"""mm/execmem.c allocates the memory for modules, and logs a line if it fails."""

BTF_BASE = (6, 11)
"""A module may contain the kernel's types that its own types refer to: `.BTF.base`."""

BTF_FIRST_CHARACTER = ((6, 11), (6, 10, 10))
"""That is so of the first character of such a name, too; before, the kernel does not look at it."""

NESTED_ALTERNATIVES = (6, 11)
"""x86: each alternative for the same code may overwrite as many bytes as the longest one."""

SYSFS_REFUSES = (6, 12)
"""The kernel refuses a module if it cannot create the sysfs files of its sections."""

STRTAB_CHECKED = (6, 13)
"""The kernel checks that the names of symbols are within their string table."""

UNREAD_SIZES = (6, 13)
"""arm, powerpc: from one of the versions between 6.12 and 7.3 on, sections may take another room in memory."""

VALIDITY_SPLIT = ((6, 13), (6, 12, 117))
"""elf_validity_cache_copy() is split into functions, and makes its checks in another order."""

RISCV_PLT32_COUNTED = ((6, 15), (6, 14, 4), (6, 12, 25))
"""riscv: R_RISCV_PLT32 may need an entry of the PLT, too."""

EXTENDED_VERSIONS = (6, 14)
"""The CRCs of needed symbols may be in `__version_ext_crcs`, with names of any length in `__version_ext_names`."""

BTF_TAG_FLAGS = (6, 15)
"""Tags in type information may have kind_flag set, which makes them attributes."""

EXECMEM_ROX = (6, 15)
"""The code of modules shares large pages if the configuration has ARCH_HAS_EXECMEM_ROX."""

PARANOID_CALLS = (6, 15)
"""x86: to check a retpoline site, the kernel reads the byte before the destination of the call."""

PERCPU_ADDRESSES = (6, 15)
"""x86: per-CPU variables have addresses in the kernel's range; before, offsets from 0."""

PERCPU_PROFILED_UNTIL = ((6, 15), (6, 14, 9))
"""Before this version, the profiling of allocations enlarges the reserve for per-CPU variables of modules."""

ZERO_SITES = ((6, 15), (6, 12, 95), (6, 6, 144))
"""Zeros in the list of places to trace are left out also where the kernel adds to addresses (arm64)."""

ALL_RO_AFTER_INIT = (6, 16)
"""All sections with names of the ro_after_init list become read-only after init, and `.static_call_sites`, too; before,
only the first one of each name."""

BOOL_ENABLE = (6, 16)
"""Parameters accept "enable" and "disable" as truth values, too."""

MODULE_NAMESPACES = (6, 16)
"""Symbols in a namespace `module:NAME,...` are for the named modules only; the namespace cannot be imported."""

PERCPU_RELOCATED = (6, 16)
"""The relocations of the per-CPU section are applied, although the section has no SHF_ALLOC by then."""

RISCV_COUNTED_TOGETHER = (6, 16)
"""riscv: relocations that are like each other need one entry of the PLT or GOT, also in different sections."""

INIT_TRAMPOLINE = ((6, 17), (6, 16, 6), (6, 12, 46), (6, 6, 105))
"""arm64: init code has its own trampoline to ftrace."""

CALLBACKS_OF_KERNEL = (6, 18)
"""arm64: the callback of an alternative must be a function of the kernel."""

DYNDBG_STACK = (6, 19)
"""dyndbg= accepts the flag "d"."""

RELOCATION_PLACES = (6, 19)
"""x86 and livepatch: messages about a relocation show the number of its section and its own."""

SRCU_READERS = (6, 19)
"""`struct srcu_struct` has a member for the kind of its readers before the pointer to `struct srcu_usage`."""

WARNING_WITH_COMMAND = (6, 19)
"""WARN() logs the location first, then the processor, the command and its PID."""

PATCH_SITES = (7, 0)
"""x86: the kernel assembles the alternatives of a place first, and does not write after its end."""

SYMBOL_SECTIONS = ((7, 0), (6, 19, 11), (6, 18, 21), (6, 12, 80), (6, 6, 131), (6, 1, 168))
"""A symbol in a section that does not exist is refused; before, the kernel reads beyond the section headers."""

BTF_LAYOUT = (7, 1)
"""Type information may have a third part, the layout, beside types and strings."""

FLAGSTAB = (7, 1)
"""All exports are in `__ksymtab`, with flags in `__kflagstab`; `__ksymtab_gpl` is obsolete."""

BTF_TAG_ORDER = (7, 2)
"""Type tags may follow other modifiers."""

BTF_WIDE_INFO = (7, 2)
"""In type information, vlen has 24 bits and the kind 7 bits."""

TABLE_TYPES = ((7, 2), (6, 12, 117))
"""The tables of section names and of symbol names must have the type SHT_STRTAB."""
