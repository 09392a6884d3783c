# SPDX-License-Identifier: GPL-2.0-only
"""Asks GNU make what Kbuild would do for a module directory, and carries out the commands.

Questions. The makefiles in `mk/` include those of the kernel tree, and print commands in place of running them.
- `ask_tree`: what a kernel tree decides for every module (`tree_answer`). make runs in `make_tree_answer`, and
  `parse_tree_answer` reads its output; `placeholder` is the directory that it is asked about.
- `ask_directory`: what Kbuild would do for a module directory (`plan`). make runs in `make_plan`; `parse_plan` and
  `modules_order` read its output. A module that an SConstruct declares becomes a Kbuild file first (`declared`).
- `ask_install`: how the tree installs modules. `ask_module_facts`: the tree's vermagic and `struct module`, by a
  `probe` (`probe_tree` asks the tree for its compiler first).
- `single_targets`: names of single files that make can build (`x.o`, `x.ko`, `x.i`), and the goals for make.
- `summary`: the modules of a directory, for people. `unread`: variables that no makefile reads.
- For all of them: `make_environment`, `make_output`, `check_paths` (refuses names that Kbuild cannot work with),
  `stamps` (states of files, digests), `cached` (keeps an answer while the files it depends on keep their state) and
  `transient_environment` (the variables that are new in each job of a batch system).

A Kbuild file's own rules. `evaluation` asks for the plan and lets make carry them out (`own_rules`): below an overlay
(`overlay` resolves names in it, `namespace` mounts it through `libc`, `overlay_files` lists the files written in it),
or in a copy of the directory (`source_copy`).

Steps. `layout` maps the nominal names of a plan to files. A `job` is one object to make, `compile` makes it step by
step (`run_step`; `command` runs the shell text, `rules` has the names of Kbuild's rules, `prefix_maps` the names in
debug information, `precompiled` the headers of `.mod.c`, `make_form` the other forms of a source). `compile_commands`
writes `compile_commands.json` with the options that clang reads (`clang_options`). `lock` lets one build at a time use
an output directory.

Is an object up to date? Its `.cmd` file (`cmd_file`) says what it was made from; `freshness` finds the objects that a
changed kernel header or CONFIG_ symbol makes stale; for SCons, `scons.project` adds changed sources.
`compiled_sources` notes what was compiled, so that `early_compilers` can compile what was edited before SCons asks.
`included_headers` finds the module's own headers that a source includes.
"""
