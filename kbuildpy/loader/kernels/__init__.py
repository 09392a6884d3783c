# SPDX-License-Identifier: GPL-2.0-only
"""Where the facts about a kernel come from.

- `from_chosen`: a kernel that `kernel.resolve` chose -> what the loader is asked with; begins here.
- `from_tree`: from a kernel tree; `from_image`: from an image and the modules that came with it.
- `shipped`: what those modules tell; `vmlinux`: what an unpacked kernel tells itself.
- `exports`: the symbols that a kernel exports; `keys`: the certificates that are built in, by
  `keyrings`, and those that are enrolled, by `enroll`.
- `own_types`: the kernel's own BTF. `image_state`: the state of a file that facts were read from.
"""
