# SPDX-License-Identifier: GPL-2.0-only
"""The stages of load_module(), in the kernel's order.

A stage takes a `LoadInfo` and returns None, or raises `Refusal` or `Undefined` to end the loading.

- checks of the file: `decompress`, `signature_check`, `elf_validity`, and `elf_index` (the sections that must exist)
- checks against the kernel: `versions` (CRCs), `modinfo` (vermagic, licence, other tags), `taints`
- memory: `layout`, with `blocks`, `layout_symtab` (memory for symbols) and `allocate` (addresses)
- symbols: `sections`, `symbols` (resolves them), `own_exports`, `requires` (the modules that own them)
- code: `relocate` and `finalize` (both call the machine's functions), `ftrace`; `struct_module` has the members that
  the kernel sets before relocation
- notifiers of the rest of the kernel: `coming`, `btf`
- after the parameters: `sysfs`
"""
