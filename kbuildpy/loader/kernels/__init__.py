# SPDX-License-Identifier: GPL-2.0-only
"""Reads the facts about a kernel (`LoaderKernel`) from a kernel tree, or from an image and its modules.

- `from_chosen`: the entry point: makes the `LoaderKernel` of a kernel that `kernel.resolve` chose.
- `from_tree`: reads the facts from a kernel tree; `from_image`: from an image and the modules built with it.
- `shipped`: the facts in those modules; `vmlinux`: the facts in an unpacked image.
- `exports`: the symbols that a kernel exports. `keys`: its certificates; `keyrings` reads the built-in ones, `enroll`
  adds enrolled ones.
- `own_types`: the kernel's own BTF. `image_state`: a cache key for the state of an image.
"""
