# SPDX-License-Identifier: GPL-2.0-only
"""Kernels: which one is meant, where it is, and facts of its tree, its image and its own modules.

Which kernel is meant:
- `resolve`: what `-k`, KDIR, KERNELRELEASE and the default choose; begins here.
- `words`: one word of `-k` -> kernels.
- `chosen`: a chosen kernel as a value, and what a command needs of one.
- `release`: what can be a release, the one in a vermagic, and their order.
- `packages`: which package of the distribution has what is missing.

What is fetched:
- `offered`: the kernels that apt offers; `debian`: downloads and unpacks packages.
- `fetch`: unpacks kernels in the cache; `remove_fetched`: removes them; `fetched`: finds them.

What is installed:
- `find`: kernel trees.
- `installed`: images of kernels that are installed with their modules.
- `find_image`: where a release's image is; `image`: unpacking one.

A kernel tree:
- `tree`: the value; `open_tree`: a directory -> a tree, or the reason why it is none.
- `completeness`: what a prepared tree lacks.
- `config`: reads auto.conf; `architecture`, `compiler`, `modversions`, `btf`, `signing_policy`: what it says.
- `symvers`: reads Module.symvers; `symvers_index`: finds a few symbols in it quickly.
- `installing`: how a tree installs modules, as a value.
- `module_facts`: vermagic and the layout of struct module, as values.

Modules:
- `module_files`: suffixes, names, finding and reading module files.
- `module_identity`: the name, the kernel and the dependencies that a module states.
- `stated`: the release and the dependencies that a module states, read without taking it apart.
- `own_modules`: the modules that a kernel came with, as modprobe sees them; `modules_directory`: where they are.
- `needs_first`: an order for modules that need each other.
- `depmod_indexes`: modules.dep, modules.alias and the other indexes, as values.
- `depmod_order`: which of several files of one name modprobe takes; `depmod_scan`: the same exactly, by reading.
- `binary_index`: the indexes that modprobe reads; `shell_pattern`: patterns as the C library matches them.
- `modprobe_config`: modprobe.d; `boot_loads`: modules-load.d and its like.
- `names_in_use`: names that a new module should not have.
- `licenses`: the licences that are compatible with the GPL.

A system:
- `rooted`: files below a root, as in a chroot; `command_line`: the kernel's; `enforcement`: of signatures.

Besides:
- `errnos`: numbers and names of errors.
- `cache`: where a user's caches are, and reading and writing them.
"""
