# SPDX-License-Identifier: GPL-2.0-only
"""Boots a kernel in QEMU and loads modules in it.

From the outside in: `qemu` boots, `initramfs` packs what the guest needs (`cpio` is the archive's format), `image`
finds the kernel's image, `direct` the kernel inside it, and `machine` is what differs by architecture.

`kbuildpy run` tries modules, in `session`, as `settings` say: `kernels` are what `-k` names, `trial` says what is
loaded and when, with the kernel's own modules (`in_tree`). `guest` follows the guest's process 1 (`guest_run.sh`, which
calls `module_call`): a line of the console is taken apart in `report`, which of the reports are the guest's own
`vouching` decides, and `reports` makes a `boot_report` of them. `steps` (with `complaints`, less what is
`asynchronous`) says what went wrong, `left_behind` what is left of modules, `judge` and `needs` by whose fault.
`named_addresses` names what the kernel could name no more. `result` is what comes of it, put in words by `describe` and
in XML by `junit`; `located` adds places in the source. `debugger` and `debugger_stops` are for `--gdb`, `gdb_stub` and
`stop_at_init` for `--gdb-at init`, `drgn_script` for `--drgn-script`.

Tests in the guest are `programs`; it is furnished for them by `guest_setup.sh`, has `devices`, and runs them in
`guest_tests.sh`. `guest_tests` says what came of them, for which `tap` reads what they print.
"""
