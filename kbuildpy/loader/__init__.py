"""load_module() in Python: what would the kernel say to this module?

In the kernel's order: `signature_check`, `elf_validity`, `modinfo` and `versions` (early checks), `layout`, `taints`,
`sections`, `symbols`, `relocate`, `finalize`, `coming`, `parameters`; `load_module` calls them one after the other.
`kernel` is what is known of a kernel (`from_tree`, `from_image`), `load_info` the module on its way, `loaded` the
modules that are there already, `verdict` the answer. `since` is what varies by version.
"""
