# SPDX-License-Identifier: GPL-2.0-only
"""Titles of the pages of the loader's messages, and names of machines."""

from __future__ import annotations

MACHINES = {
    "arm64": "arm64",
    "riscv": "riscv64",
    "arm": "arm (32 bits)",
    "i386": "i386",
    "partly": "i386, arm, powerpc and s390",
    "powerpc": "powerpc",
    "s390": "s390",
    "x86_64": "x86-64",
}
"""The machines, as a reader calls them."""
TITLES = {
    "btf/check_meta": "Type information (.BTF): a type",
    "btf/header": "Type information (.BTF): its header",
    "btf/modifiers": "Type information (.BTF): chains of modifiers",
    "btf/relocate": "Type information (.BTF.base): types that the kernel does not have",
    "lifecycle/unload": "Unloading a module",
    "load_module": "The file, the blacklist, and modules of the same name",
    "machines/arm": "arm (32 bits)",
    "machines/arm64/finalize": "arm64: alternatives, ftrace trampolines",
    "machines/arm64/frob": "arm64: sections for PLTs",
    "machines/arm64/relocate": "arm64: relocations",
    "machines/i386": "i386: relocations",
    "machines/partly": "i386, arm, powerpc, s390: relocations",
    "machines/powerpc": "powerpc",
    "machines/riscv/accumulate": "riscv64: sums of relocations",
    "machines/riscv/finalize": "riscv64: alternatives",
    "machines/riscv/frob": "riscv64: sections for GOT and PLT",
    "machines/riscv/ftrace": "riscv64: places to trace",
    "machines/riscv/relocate": "riscv64: relocations",
    "machines/s390": "s390",
    "machines/x86_64/finalize": "x86-64: tables of code to patch",
    "machines/x86_64/relocate": "x86-64: relocations",
    "memory/code": "Tables that point to code of the module",
    "memory/data": "Data that the kernel reads and writes for a parameter or a table",
    "memory/pointers": "Tables of pointers",
    "module_file": "Names and sections beyond the end of the file",
    "parameters/destroy_params": "Parameters: what is read when the module is removed",
    "parameters/dyndbg": "Parameters: dyndbg=",
    "parameters/param_table": "Parameters: their declaration",
    "parameters/param_values": "Parameters: values that do not fit",
    "parameters/parse_args": "Parameters: values that are refused",
    "stages/allocate": "Memory for the module",
    "stages/btf": "Type information (.BTF): the verdict",
    "stages/coming": "Jump labels, static calls, SRCU, trace events, live patches",
    "stages/constructors": "Constructors",
    "stages/decompress": "Compressed modules",
    "stages/elf_index": "ELF: struct module, .modinfo, symbols and their names",
    "stages/elf_validity": "ELF: the header, section headers and their names",
    "stages/ftrace": "Functions that can be traced",
    "stages/layout": "The layout of the sections",
    "stages/layout_symtab": "Symbols that are kept for kallsyms",
    "stages/modinfo": "Vermagic, licence, and taints of .modinfo",
    "stages/own_exports": "The module's own exports",
    "stages/relocate": "Relocations: for all machines, and of live patches",
    "stages/sections": "Per-CPU variables, versions of exports, obsolete sections",
    "stages/signature_check": "Signatures",
    "stages/symbols": "Symbols: unknown, of other versions, not allowed",
    "stages/sysfs": "The module's directory in /sys/module",
    "stages/taints": "Taints",
    "stages/versions": "Versions of symbols",
}
"""A file of the loader check -> the title of its page."""


def machine_of(file: str) -> str:
    """The machine that a file of the loader check is for, in words; "" for a file that is for all."""
    _, found, rest = file.partition("/machines/")
    return MACHINES[rest.split("/")[0].removesuffix(".py")] if found else ""
