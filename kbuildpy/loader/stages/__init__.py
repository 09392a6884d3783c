# SPDX-License-Identifier: GPL-2.0-only
"""The stages of load_module(), in the kernel's order. A stage takes `LoadInfo`; it returns, or ends the loading.

- before anything is believed: `decompress`, `signature_check`, `elf_validity`, and `elf_index` (the sections that must
  exist)
- the kernel that it was built for: `versions` (CRCs), `modinfo` (vermagic, licence, other tags), `taints`
- memory: `layout`, with `blocks`, `layout_symtab` (room for symbols) and `allocate` (addresses)
- symbols: `sections`, `symbols` (resolves them), `own_exports`, `requires` (the modules it needs)
- code: `relocate` and `finalize` (the machine's functions do the work), `ftrace`; `struct_module` has the members that
  the kernel has filled in before relocation
- announcement to the rest of the kernel: `coming`, `btf`
- after the parameters: `sysfs`
"""
