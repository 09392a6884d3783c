# SPDX-License-Identifier: GPL-2.0-only
# With which options Kbuild runs modpost; run as `make -n` in place of scripts/Makefile.modpost.
override existing-targets :=
# Before 6.0 Makefile.modpost itself went on to the final link: modfinal.mk asks about that.
override KBUILD_MODPOST_NOFINAL := 1
include $(srctree)/scripts/Makefile.modpost
include $(KBUILDPY_MK)/record.mk
