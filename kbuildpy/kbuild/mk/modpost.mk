# With which options Kbuild runs modpost; run as `make -n` in place of scripts/Makefile.modpost.
override existing-targets :=
include $(srctree)/scripts/Makefile.modpost
include $(KBUILDPY_MK)/record.mk
