# SPDX-License-Identifier: GPL-2.0-only
"""modules_install: copies, strips, signs, compresses and indexes built modules.

The counterparts are scripts/Makefile.modinst and scripts/depmod.sh in the kernel tree. What they would do is asked in
`kbuild.install` and comes here as `kernel.installing.InstallRules`; here it is done, each file whole or not at all.

`modules` says which modules there are to install, and `beneath` whether any would land outside of the root. `stage`
installs them side by side, `module` one of them; `signer` is the tree's own, `pack` compresses as a tree does. `depmod`
makes the index, and `rivals` tells of modules that have one name.
"""
