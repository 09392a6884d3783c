# SPDX-License-Identifier: GPL-2.0-only
"""modpost: from module objects and symvers to `.mod.c` files, a `Module.symvers` and diagnostics.

The counterpart of scripts/mod/modpost.c, file2alias.c and sumversion.c, for every kernel from one code. What differs by
kernel is in `versions` (a `Dialect`), and for section mismatches in `mismatch_rules`.

`stage.modpost()` does all of it, as `options` ask. It reads each module object (`read_module`, with its symbol table in
`read_symbols`, the records of its objects in `records`, its sources in `srcversion` and `md4`), finds what that needs
in `exports` (`resolve`; up to 5.18 in `named_exports`), and writes (`modc`). `object_facts` is what reading yields,
`known` keeps it from one run to the next; `diagnostics` has every message.

Device tables become aliases in `aliases`. `device_tables` describes the regular kinds of table (HID is one of them);
`irregular_tables` and `usb` have functions for the others. `table_entry` reads an entry by the layout of its struct
(`layouts`, which `layout_probe` asks the compiler for).

The walk over sections is in `sections`, on the state in `walk`; references between sections in `mismatch`, with their
texts in `mismatch_texts`, the symbols that they name in `nearest`, and SHT_REL's addends in `addends`.

Symbol names are in `names`, the pieces of an alias in `alias_parts`, and in `reading` what the reading of all modules
shares.
"""
