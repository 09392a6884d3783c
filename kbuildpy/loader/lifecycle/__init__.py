# SPDX-License-Identifier: GPL-2.0-only
"""Scripts of insmod, rmmod and modprobe over a model of the kernel's list of modules (`kbuildpy.loader.loaded`).

`script` reads and runs the commands; each gives a `step`. `unload` is delete_module(2), `modprobe` kmod's modprobe,
`procfs` the list as /proc/modules and lsmod print it.
"""
