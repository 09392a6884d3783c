# SPDX-License-Identifier: GPL-2.0-only
"""What a module file tells: `kbuildpy info`.

- `named`: the words of the call -> files, or what is built into the kernel.
- `fields`, `fields_text`: what modinfo prints, and its layout. `signature`: what a signature tells.
- `report`: everything else as one value, put together from:
  `memory` (the loader's layout over the module's life), `tables` (modes of parameters, debug messages, tracepoints),
  `symbols` (exports, and imports with their owners), `devices` (aliases in words, with the names in `alias_names`).
- `message_places`: debug messages by their places in the source, as queries of dynamic debug.
- `text`, `as_json`, `picture` (SVG), `page` (HTML): the same printed.
"""
