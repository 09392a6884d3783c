# SPDX-License-Identifier: GPL-2.0-only
"""What a machine would lose with another kernel: `kbuildpy preflight`.

- `machine`: what the machine tells: modules that are loaded, settings that name modules, sources.
- `subjects`: which modules are looked at, and which file of each.
- `judge`: what becomes of each in the other kernel; `settings_check`: of the settings.
- `findings`: the results as values; `text`: as a table.
"""
