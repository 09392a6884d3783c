# SPDX-License-Identifier: GPL-2.0-only
"""Where the flags of a compile command come from: makefile and line, CONFIG_ symbols, command line, environment.

- `explain_object`: the flags of objects, each with its `origin`; begins here. `flag_difference` compares two objects,
  `origin_words` says an origin in words, `command_options` takes a command apart.
- make does the work: `trace_makefiles` copies makefiles so that they note what they assign (`makefile_lines` and
  `make_text` read their language), `trace_log` reads the notes.
- `flag_origins` follows the words of a command through the recipe, `final_words` through what was final before it.
"""
