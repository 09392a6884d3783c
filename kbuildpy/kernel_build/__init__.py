# SPDX-License-Identifier: GPL-2.0-only
"""Small kernels for testing modules, built from the sources of a kernel: with sanitizers, lockdep, other compilers.

- `sources`: a directory, or the package of a distribution, to the sources of a kernel.
- `fragments/`: named sets of options, and what a guest needs; `option_sets` reads them.
- `kconfig`: where the options of a source tree are defined, and what they depend on.
- `exporters`, `needed_options`, `dependencies`: the options behind the symbols that a module imports.
- `alike`: another kernel's configuration, reduced.
- `wanted`: what a user asks for, to a recipe.
- `recipe`: all that decides what a kernel becomes, and its name.
- `configure`: a recipe to a configuration; what could not be had, and why.
- `requirements`: programs, their versions and room on the disk, before anything is built.
- `build`: the whole of it; the tree is kept beside fetched kernels, so that every command takes it by its name.
"""
