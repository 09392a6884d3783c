# SPDX-License-Identifier: GPL-2.0-only
"""What more than one test file uses; tests import from here, never from each other.

| wanted | file |
|---|---|
| a kernel tree: a fake one, an installed one, a copy to edit | `fake_trees`, `kernel_trees` |
| a kernel tree for another machine | `foreign_trees`, `arm64`, `riscv64` |
| a kernel tree whose makefiles can be edited | `editable_trees` |
| what a tree's top Makefile says | `top_makefile` |
| Debian packages, unpacked; an archive of made-up ones | `packages`, `debian_archive` |
| kernels with their modules, as distributions ship them | `shipped_kernels`, `shipped_modules` |
| kernels that differ from a real one in one fact each | `changed_kernels` |
| ten kernels and a flavour of one, fetched | `fetched_kernels` |
| sources of modules: the samples, a Kbuild file's, modules that go wrong | `samples`, `kbuild_sources`, `bad_modules` |
| sources with planted faults, and the help that a build gives | `planted` |
| a build by make and by kbuildpy; by SCons; an edit of a source | `builds`, `scons_project`, `edits` |
| both modposts; both installers | `modposts`, `installs` |
| a module with the proof of its build | `proofs` |
| ELF objects; what the loader knows of one; types (BTF) | `elf_objects`, `loader_info`, `btf_draft` |
| types as a compiler describes them | `compiled_types` |
| packages of modules, made and taken apart; Debians of their own | `module_packages`, `debian_roots` |
| keys, certificates, sign-file; signed modules; manifests | `keys`, `signatures`, `manifests` |
| a token in software; one that counts, and is slow | `softhsm`, `counting_token` |
| a cluster of Slurm, of Dask; runs of a matrix for them | `slurm`, `dask_cluster`, `matrix_runs` |
| kernels to boot: of a line, built small, with our certificate | `guest_kernels`, `small_kernels`, `trusting_kernels` |
| a kernel with Rust and the programs for it; modules in Rust | `rust_kernels`, `rust_sources` |
| what a guest does: loads modules, makes system calls, adds keys | `loading`, `system_calls`, `added_keys` |
| functions and lines by addr2line; clangd's answers; preprocessed sources | `addr2line`, `clangd`, `preprocessed` |
| a module for coverage, with mistakes in its error paths | `covered_module` |
| pages and pictures, parsed, and shown by a browser | `standalone_pages` |
| probes of other projects, and what their scripts answer | `conftests` |
| Debian's dkms, as a peer; the trees of DKMS without a kernel | `dkms_peer`, `dkms_trees` |
| a system that refuses namespaces | `no_namespaces` |
| a command of kbuildpy, called in this process | `command_line` |
| shells in which Tab is pressed | `completing_shells` |
| a machine that is made up: its sysfs, /proc and files | `made_up_machine` |
| systems for modprobe and depmod, drawn at random | `modprobe_roots` |
| firmware with variables, under Secure Boot; lists of keys | `efi_guests`, `signature_lists` |
| `kbuildpy run`: its answer; what a guest would have said | `guest_runs`, `guest_logs` |
| servers of shared caches, good and bad | `cache_servers` |
| a terminal; interrupts; a free port; the project's documents | `terminal`, `interrupts`, `free_port`, `documents` |
| a browser without a window; a tutorial's commands | `browser`, `console_blocks` |

A helper that compares with an oracle and fails the test is called `assert_...`.
"""
