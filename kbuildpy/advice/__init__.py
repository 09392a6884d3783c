# SPDX-License-Identifier: GPL-2.0-only
"""What is known about an error of a build: shown below the messages of the compiler, of objtool and of modpost.

Nothing here runs before there is a message, and nothing is guessed: each sentence has its source in a header, a symvers
file, debug information or the text of a source. `advice` is the value that all parts give.

- `undefined`: symbols that nothing exports, or that the module may not use; `kbuild_symbols`: the CONFIG_ symbols that
  a tree's Kbuild files ask for.
- `mismatches`: both places of a section mismatch.
- `uses`, `source_text`: from a place in an object to a line of a source, with debug information or without.
- `compiler_messages`: the compiler's errors as values; `compile_errors`: what is known about the names in them;
  `struct_members`, `missing_headers`, `twins`: about members, headers, and functions that have another name now.
- `header_search`: declarations in a tree's headers; `conditions`: what they stand under; `visible`: what a source sees.
- `near_names`: names that are spelled alike; `other_kernels`: the kernels that are installed besides.
- `objtool`, `objtool_table`: what objtool's messages end in.
"""
