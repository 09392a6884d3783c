"""The stages of load_module(), a file for each (and for what varies by architecture), in the kernel's order:

- before anything is believed: `signature_check`, `elf_validity`, and `elf_index` (the sections that must be there)
- what it was built for: `versions` (CRCs), `modinfo` (vermagic, license, ...), `taints`
- where it goes: `layout`, `frob` (room for veneers)
- what it needs and offers: `sections`, `symbols`, `own_exports`, `requires`
- made to run: `relocate` (`_x86`, `_arm64`), `finalize` (`_x86`, `_arm64`; patching of code), `ftrace`
- announced: `coming` (what others in the kernel make of it), `btf`; `sites` reads the tables that these follow
- what may be written to meanwhile, and until when: `protection`
- in the end, after the parameters: `sysfs`
"""
