# SPDX-License-Identifier: GPL-2.0-only
# How Kbuild compiles a .mod.c and links a .ko; run as `make -n` in place of scripts/Makefile.modfinal.
override existing-targets :=
include $(srctree)/scripts/Makefile.modfinal
include $(KBUILDPY_MK)/record.mk
# Kbuild makes BTF whenever a .ko was linked; asked here, the .ko is always about to be linked.
newer-prereqs = y
