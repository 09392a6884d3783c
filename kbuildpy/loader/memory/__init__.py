# SPDX-License-Identifier: GPL-2.0-only
"""The memory of a module that is being loaded, for all stages.

- `pointers`: tables of pointers (`__jump_table`, `.return_sites`), read through their relocations.
- `code`: the bytes of code that such pointers point to, and calls to the kernel's functions.
- `data`: variables, strings and pointers in data sections, which parameters need.
- `protection`: which sections are read-only or freed, and from which stage on.
"""
