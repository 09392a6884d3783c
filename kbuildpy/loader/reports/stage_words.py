# SPDX-License-Identifier: GPL-2.0-only
"""What the stages of load_module() do, in a few words each."""

from __future__ import annotations

STAGE_WORDS = {
    "module_decompress": "unpacks a compressed file",
    "kernel_read_file": "reads the file",
    "module_sig_check": "checks the signature",
    "elf_validity_check": "checks the ELF file",
    "elf_validity_cache_copy": "checks the ELF file, and finds its parts",
    "blacklisted": "looks into module_blacklist=",
    "rewrite_section_headers": "writes addresses into the section headers",
    "check_modstruct_version": "compares the version of struct module",
    "check_modinfo": "compares vermagic, and reads .modinfo",
    "early_mod_check": "looks for a module of this name",
    "add_unformed_module": "looks for a module of this name",
    "layout_and_allocate": "lays out the sections, and allocates memory",
    "load_module": "notes a missing signature",
    "module_augment_kernel_taints": "sets taints",
    "percpu_modalloc": "allocates the per-CPU variables",
    "find_module_sections": "finds the tables in the sections",
    "check_module_license_and_versions": "looks for exports without versions",
    "check_export_symbol_versions": "looks for exports without versions",
    "setup_modinfo": "keeps version and srcversion",
    "simplify_symbols": "resolves the symbols",
    "apply_relocations": "applies the relocations",
    "post_relocation": "finishes what depends on the machine",
    "strndup_user": "copies the parameters of the call",
    "dynamic_debug_setup": "registers debug messages",
    "ftrace_module_init": "prepares the places to trace",
    "verify_exported_symbols": "looks for exports that another module has",
    "complete_formation": "protects the memory",
    "prepare_coming_module": "calls what waits for modules (livepatch, BTF, jump labels, tracepoints)",
    "parse_args": "sets the parameters",
    "mod_sysfs_setup": "makes the directory in /sys/module",
    "do_mod_ctors": "calls the constructors",
    "module_destroy_params": "frees the parameters of init",
}
