# SPDX-License-Identifier: GPL-2.0-only
"""Verdicts that are kept: the second verdict on a module is a look-up.

A verdict is a function of the module file, of the arguments, of the modules that are loaded, and of what the stages ask
the kernel. While the stages run for the first time, each question to the kernel is written down with its answer. Where
another kernel, or the same one later, gives the same answers, it gives the same verdict. So nothing is kept about a
kernel: its answers are taken from its present facts each time, and what is kept for a module holds for every kernel.

- `questions`: the questions, and the answers of a kernel. `watch`: stands in for the kernel, and writes down what is
  asked. What it does not know, it refuses; such a verdict is not kept.
- `facts`: the facts of a module: its verdicts with their questions, and what its undefined symbols are resolved with.
- `forms`: verdicts as JSON. `symbols_again`: the stage of symbols alone, from these facts.
- `store`: the files, by SHA-256 of the module file, for one state of this program's code.
- `judge`: puts these together.
"""
