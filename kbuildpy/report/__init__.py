# SPDX-License-Identifier: GPL-2.0-only
"""One archive with what is known of a failure, without secrets and private paths: `kbuildpy report`.

- `private`: what is private on this machine: names, homes, secrets of the environment. `redact`: a text without it.
- `last_failure`: the notes of the last commands that failed. `recorded_run`: a command, run for its output.
- `gather`: the files of a report. `versions`, `tree_facts`, `plan_facts`: parts of it. `archive`: the tar archive.
"""
