# SPDX-License-Identifier: GPL-2.0-only
"""DKMS: dkms.conf, and the set of modules that a machine builds for each of its kernels.

- `directives`: the words of a dkms.conf.
- `evaluate`: bash evaluates the file (`evaluate.sh`), locked down by `confine`.
- `conf`: what a dkms.conf says for one kernel, as a value; `read_conf` makes it and refuses what DKMS refuses.
- `exclusive`: why a kernel is left out (BUILD_EXCLUSIVE_*); `versions`: the order of versions.
- `make_line`: what a MAKE line asks for: a build that is Kbuild's alone, or a command to run as it stands.
- `package_build`: the steps of a build in a private copy of the sources.
- `machine`: the actions of `kbuildpy dkms`; `add`, `build`, `install`, `status`: what they do to a package;
  `install_all`: those for many packages; `which_kernels`: the kernels of a call that names none.
- `tried`: asks whether a kernel takes what was built, by the loader check and in QEMU.
- `archives`: the actions with archives of packages; `tarball`: what is in one.
- `places`: /var/lib/dkms, /usr/src and /lib/modules, as DKMS lays them out; `machine_key`: the key of the machine.
- `hooks`: files by which a machine calls us; `configure`: what happens when a package NAME-dkms is configured;
  `stands_for`: the DKMS that is stood in for.
- `switch`: changes the modules of a kernel in one step.
- `destination`: where a distribution's DKMS installs modules.
"""
