# SPDX-License-Identifier: GPL-2.0-only
"""What a machine will do with the name of a module: `kbuildpy which`.

- `place`: a kernel of a system; `kmod`: what modprobe knows of it, and what it takes a name for; `kmod_features`: what
  the kmod of this machine can decompress.
- `probe`: what modprobe does for a module, in order.
- `look_up`: from a name to files; `unknown_name`: a name that stands for nothing; `remarks`: what is worth knowing
  about the files and the system's settings.
- `judge`: from the files to a loaded module: signature, loader.
- `machine_keyring`: the keys that a kernel has on a machine; `efi_variables`: those of the firmware; `live_keys`: those
  of the running kernel.
- `initramfs`: reads the first file system of a kernel, over `archives` and `cpio`; `initramfs_copies`: what it has of a
  module.
- `install_command`: what a command of modprobe.d does.
- `answer`: the results as values and JSON; `text`: as lines.
"""
