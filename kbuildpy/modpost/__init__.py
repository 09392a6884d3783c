# SPDX-License-Identifier: GPL-2.0-only
"""modpost: makes `.mod.c` files, a `Module.symvers` and diagnostics from module objects and symvers files.

The counterpart of scripts/mod/modpost.c, file2alias.c and sumversion.c of all supported kernels. Differences between
kernels are in `versions` (a `Dialect`), and for section mismatches in `mismatch_rules`.

`stage.modpost()` runs the whole stage; `options` parses its command line. It reads each module object (`read_module`;
`read_symbols` reads the symbol table, `records` the `.cmd` files, `srcversion` and `md4` the sources), finds the
exports that the module needs (`resolve`, in the table `exports`; up to 5.18 in `named_exports`), and renders the
`.mod.c` (`modc`). `object_facts` holds the facts about a module object, `known` keeps them from one run to the next;
`diagnostics` has every message.

`aliases` turns device tables into aliases. `device_tables` describes the regular kinds of tables (such as HID);
`irregular_tables` and `usb` have functions for the others. `table_entry` reads an entry by the layout of its struct
(`layouts`, which `layout_probe` asks the compiler for).

`sections` walks over the sections, with the state in `walk`. `mismatch` checks references between sections;
`mismatch_texts` has its messages, `nearest` finds the symbols that they name, `addends` decodes addends of SHT_REL.

`names` has symbol names, `alias_parts` the parts of an alias, `reading` the state that is shared while all modules are
read.
"""
