# SPDX-License-Identifier: GPL-2.0-only
"""What Kbuild would do, asked through GNU make, and the steps that carry it out.

Questions. Makefiles of ours (`mk/`) include those of the kernel tree, and print commands in place of running them.
- `ask_tree`: what a kernel tree decides for every module (`tree_answer`). make runs in `make_tree_answer`, and
  `parse_tree_answer` reads its output; `placeholder` is the directory that it is asked about.
- `ask_directory`: what Kbuild would do for a module directory (`plan`); likewise `make_plan`, `parse_plan`,
  `modules_order`. A module that an SConstruct declares becomes a Kbuild file first (`declared`).
- `ask_install`: how the tree installs modules. `ask_module_facts`: its vermagic and `struct module`, by a `probe`
  (`probe_tree`: from the question to make on).
- `single_targets`: the words for one object, one module, or another form of a source, and their place in a question.
- `summary`: the modules of a directory, for people. `unread`: variables that no makefile reads.
- For all of them: `make_environment`, `make_output`, `check_paths` (names that Kbuild cannot work with), `stamps`
  (states of files, digests) and `cached` (an answer that holds while those stay).

A Kbuild file's own rules. `evaluation` asks for the plan and lets make carry them out (`own_rules`): below an overlay
(`overlay`: where names lead; `namespace`: the mounts, by `libc`; `overlay_files`: the files that were written), or in a
copy of the directory (`source_copy`).

Steps. `layout` says where the files of a plan really are. A `job` is one object to make, `compile` makes it step by
step (`run_step`, `command` for the shell text, `rules` for their names, `prefix_maps` for names in debug information,
`precompiled` for the headers of `.mod.c`, `make_form` for other forms of a source). `compile_commands` tells editors
what the compiler is told, as far as clang reads it (`clang_options`). `lock` keeps two builds out of one output.

Is an object up to date? Its `.cmd` file (`cmd_file`) says what it was made from; `freshness` finds the objects that a
changed kernel header or CONFIG_ symbol makes stale. SCons asks `scons.project`, which adds changed sources. Which of a
module's own headers a source includes: `included_headers`.
"""
