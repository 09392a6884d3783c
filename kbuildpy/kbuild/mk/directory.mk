# SPDX-License-Identifier: GPL-2.0-only
# What Kbuild would do in one module directory; run as `make -n` in place of scripts/Makefile.build.
#
# In:  obj (as for Makefile.build), KBUILDPY_RECORDS, KBUILDPY_MK (the folder of this file),
#      KBUILDPY_SOURCES: sources that do not exist yet but will when the build gets there,
#      KBUILDPY_KBUILD_FILE: a Kbuild file to read in place of the directory's own.
# The rest comes through the environment, as Kbuild's top Makefile exports it (see tree.mk).

# Files of an earlier build in place must not count: neither its saved commands nor its folders.
override existing-targets :=
override obj-dirs :=

# scripts/Kbuild.include names the file in kbuild-file; before 6.6 Makefile.build looked below kbuild-dir.
ifneq ($(KBUILDPY_KBUILD_FILE),)
override kbuild-file := $(KBUILDPY_KBUILD_FILE)
override kbuild-dir := $(patsubst %/,%,$(dir $(KBUILDPY_KBUILD_FILE)))
endif

include $(srctree)/scripts/Makefile.build
include $(KBUILDPY_MK)/remember.mk
include $(KBUILDPY_MK)/record.mk

# Descend with this file.
build := -f $(KBUILDPY_MK)/directory.mk obj

define kbuildpy-directory
directory $(obj)
makefiles $(MAKEFILE_LIST)
extra-symbols $(KBUILD_EXTRA_SYMBOLS)
modules $(filter %.o,$(obj-m))
end
endef
$(file >>$(KBUILDPY_RECORDS),$(kbuildpy-directory))

ifneq ($(KBUILDPY_SOURCES),)
$(KBUILDPY_SOURCES): ;
endif
