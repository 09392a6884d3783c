# SPDX-License-Identifier: GPL-2.0-only
"""A kernel log's `function+0x12/0x40 [module]` to function, file, line and the functions inlined there.

From the bytes of a file to a place in the source:

- `debug_sections`: the `.debug_*` sections, decompressed, with the relocations of a relocatable file.
- `leb128`, `forms`, `abbreviations`, `units`, `entries`: the entries of `.debug_info`, read sparingly.
- `address_ranges`: the addresses that an entry covers; `aranges`: those of each unit.
- `lines`: the line program of a unit.
- `inlined`: the function at an address, and the calls that were inlined there.
- `debug_info`: all of it for one file; `places` asks it. `damage`: the error for what cannot be read.

From the log to an address:

- `log_lines`: what stands in one line of a log; `log_facts`: the release and the build id that a log tells.
- `code_symbols`: the functions of a file, with the sizes that a kernel prints for them.
- `subjects`: the files that a log is decoded with; `find_modules`, `find_debug_file`: where these are looked for.
- `decode`: both together; `decoded_text`: the log with its places; `explain`: one report of a kernel.

Commands for a module that runs on this machine, or in a guest:

- `running_module`, `running_kernel`: what sysfs and /proc tell; `loaded_file`: the module's file, and its build.
- `gdb_commands`: gdb's own commands; `commands`: those of debuggers; `live_tools`: dynamic debug, tracing, the log;
  `tool_part`: what each of them is.

The formats are those of DWARF 4 and 5. pyelftools reads them too, but applies all relocations of a module first: for
one of 2 MB that takes 2 s, and a place takes 20 ms here.
"""
