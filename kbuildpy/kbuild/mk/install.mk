# SPDX-License-Identifier: GPL-2.0-only
# How a kernel tree installs external modules; asked for a placeholder module and a placeholder of INSTALL_MOD_PATH.
#
# In: KBUILDPY_TREE (the tree's object part), KBUILDPY_MK, KBUILDPY_RECORDS, KBUILDPY_ENVIRONMENT, INSTALL_MOD_PATH.

include $(KBUILDPY_TREE)/Makefile
include $(KBUILDPY_MK)/record.mk

define kbuildpy-facts
makefiles $(MAKEFILE_LIST)
modlib $(MODLIB)
release $(KERNELRELEASE)
end
endef

ifeq ($(need-sub-make),1)
# (see tree.mk)
__sub-make:
	+@$(MAKE) -f $(KBUILDPY_MK)/install.mk kbuildpy-install
else
# In 6.1 the top Makefile runs depmod, later scripts/Makefile.modinst does.
kbuildpy-install:
	$(file >>$(KBUILDPY_RECORDS),$(kbuildpy-facts))
	@env -0 >$(KBUILDPY_ENVIRONMENT)
	+@$(MAKE) -n -s -f $(KBUILDPY_MK)/modinst.mk
	$(call cmd,depmod)
endif
.PHONY: kbuildpy-install
