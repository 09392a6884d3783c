# SPDX-License-Identifier: GPL-2.0-only
"""Instrumented modules: what their tests reach, and what their error paths do.

An instrumented build (`instrument`) has counters of gcc's in its objects, and its calls of allocators (`allocators`) go
through a module of ours, `kbuildpy_guest`, which is built beside it (`guest_module`) and tells in the guest what it saw
(`observations`). `gcda` writes the counters as gcov reads them, `gcov` runs that program, `report`, `lcov` and `page`
say what it found; `faults` says what became of the memory when an allocation failed.
"""
