# SPDX-License-Identifier: GPL-2.0-only
"""Scripts of insmod, rmmod and modprobe over a model of the kernel's list of modules (`kbuildpy.loader.loaded`).

`script` parses and runs the commands; the result of each is a `step`. `unload` models delete_module(2), `modprobe`
models kmod's modprobe, and `procfs` formats the list as /proc/modules and lsmod do.
"""
