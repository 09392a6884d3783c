# SPDX-License-Identifier: GPL-2.0-only
"""Two kernels compared, as a module sees them: exported symbols, the types behind their CRCs, and what one module uses.

- `exports`: which symbols went, came, or changed CRC, licence or namespace.
- `type_graph`, `btf_graph`, `dwarf_graph`: types of a kernel and of a module, in one form.
- `compare_types`: the differences of two structs, unions, enums or functions.
- `changed_types`: all types that exported functions lead to, and the shortest way to one that changed.
- `kernel_types`: the BTF of a kernel and of its modules.
- `module_view`: the types as a module was compiled with them, and the lines that mention them.
- `explain_module`, `explain_kernels`: the answers of `kbuildpy abi`; `text`, `as_json`: how they are printed.
"""
