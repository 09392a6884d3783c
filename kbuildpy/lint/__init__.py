# SPDX-License-Identifier: GPL-2.0-only
"""Checkers over the sources of modules: sparse, smatch, clang-tidy, coccinelle, checkpatch, and the compiler itself.

`subjects` are the objects of a plan with the words of Kbuild's own commands, so that each checker sees the flags of the
kernel. A checker (`source_checker` says what one is, `checkers/` has a file for each) makes runs of them, and reads
findings (`finding`) from what a run prints; `compiler_lines` reads the form that most of them have. `run_checkers` does
it with several at a time. `kernel_scripts` finds the scripts of the kernel's sources, which headers packages lack.
`own_files` tells a module's files from kernel headers. `fingerprint` knows a finding again after lines have moved;
`sarif` writes, and reads for a baseline, what code scanning services take.
"""
