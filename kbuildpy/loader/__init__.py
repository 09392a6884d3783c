"""load_module() in Python: what would the kernel say to this module?

The stages, in the kernel's order, one file each; `load_module` calls them one after the other, and `since` is what
varies by version:

- before anything is believed: `signature_check`, `elf_validity`
- what it was built for: `versions` (CRCs), `modinfo` (vermagic, license, ...), `taints`
- where it goes: `layout`, `frob` (room for veneers)
- what it needs and offers: `sections`, `symbols`, `own_exports`, `requires`
- made to run: `relocate` (`_x86`, `_arm64`), `finalize` (`_x86`, `_arm64`; patching of code), `ftrace`
- announced: `coming` (what others in the kernel make of it), `btf`; `sites` reads the tables that these follow
- what may be written to meanwhile, and until when: `protection`
- its parameters: `parameters`, with `arguments` (cutting the text), `param_table` and `param_values` (the module's
  table), `numbers`, `memory` (what pointers lead to), `dyndbg`
- in the end: `sysfs`, and what is looked at again when it goes: `destroy_params`

`verdict` is the answer, `load_info` the module on its way, `printk` how a line comes out in the log.

What is known of a kernel is a value (`kernel`), from its tree (`from_tree`) or its image and modules (`from_image`,
with `vmlinux`, `shipped`, `exports`, `keys`); `open` finds the kernels that somebody names.

The modules that are loaded: `loaded` is the kernel's list, `unload` what takes one out, `procfs` how it is shown,
`script` a sequence of both.

`check` does it to many files for many kernels; `describe`, `sarif` and `junit` say it.
"""
