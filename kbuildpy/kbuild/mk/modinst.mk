# SPDX-License-Identifier: GPL-2.0-only
# What Kbuild does with a module that it installs; run as `make -n` in place of scripts/Makefile.modinst.
include $(srctree)/scripts/Makefile.modinst
include $(KBUILDPY_MK)/record.mk

define kbuildpy-directory
makefiles $(MAKEFILE_LIST)
end
endef
$(file >>$(KBUILDPY_RECORDS),$(kbuildpy-directory))
