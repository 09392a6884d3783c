# SPDX-License-Identifier: GPL-2.0-only
"""The memory of a module that is being loaded, for all stages.

- `pointers`: tables of pointers (`__jump_table`, `.return_sites`), read through their relocations.
- `code`: the bytes that such pointers lead to, and calls to the kernel's functions.
- `data`: variables, strings and pointers of its data, as parameters need them.
- `protection`: which sections are read-only or freed, and from when on.
"""
