# SPDX-License-Identifier: GPL-2.0-only
"""`./run configurations`: kernels of many configurations, made from nothing, and kbuildpy compared on each.

- `rows`: the configurations, a row of the table each.
- `kernels`: a row to its kernel: tree, image, what make is told.
- `prepared`: the same without a kernel, for a test.
- `parts`: the four comparisons with make, with the tree's modpost, and with the kernel in QEMU.
- `results`: what came of them, a JSON file for each row in `results/`.
- `table`: the table in docs/trees.md, written from these files.
"""
