# SPDX-License-Identifier: GPL-2.0-only
"""Packages of modules for the systems that people have: .deb, .rpm, sysext, OCI image, tarball.

- `module_package`: a package as a value: its names, and its files with their places, which are the same in each format.
  `package_names`: what a package is called; `machine_names`: what each format calls an architecture.
- `collect`: module files become a package. `admit`: whether the kernel takes what is in it. `write_package`: the way
  from a package to a file that is whole, and was read back; `payload_tree` is the directory that tools pack.
- A file for each format, with the same functions (`format`): `deb`, `rpm`, `sysext`, `oci`, `tarball`; the texts that
  a format needs stand beside it (`deb_scripts`, `deb_documents`, `rpm_spec`, `modprobe_config`).
  `dkms_deb` packs sources.

Two runs give the same bytes: what depends on the machine, the user or the hour is not taken (`tool_environment`).
"""
