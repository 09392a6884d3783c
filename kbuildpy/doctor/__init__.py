# SPDX-License-Identifier: GPL-2.0-only
"""What each command needs of a machine, and what this one has: `kbuildpy doctor`.

- `need`: a program, a Python package, a header or a fact that something needs.
- `needs_of_commands`: the table, by command and by what it is for. It takes names from the rooms that look for them.
- `look`: whether a need is met here. `diagnosis`: the answer for a command, and the packages that are missing.
"""
