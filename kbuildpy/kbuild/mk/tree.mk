# What a kernel tree decides for every external module: the environment that its top Makefile exports,
# and the commands after the module objects. Asked for a placeholder module directory.
#
# In: KBUILDPY_TREE (the tree's object part), KBUILDPY_MK, KBUILDPY_RECORDS, KBUILDPY_ENVIRONMENT.

include $(KBUILDPY_TREE)/Makefile

define kbuildpy-facts
makefiles $(MAKEFILE_LIST)
programs $(CC)|$(LD)|$(NM)|$(OBJCOPY)|$(PAHOLE)|$(AR)|$(HOSTCC)
compiler $(CC_VERSION_TEXT)
end
endef

ifeq ($(need-sub-make),1)
# Before 5.13 the top Makefile of a split tree starts make again, so that --include-dir counts: start this file.
__sub-make:
	+@$(MAKE) -f $(KBUILDPY_MK)/tree.mk kbuildpy-tree
else
# Kbuild compiles after `prepare`; there arm64 and others add options that a header tells (where the stack
# protector's canary is). (6.13 and later refuse names that begin with two underscores.)
kbuildpy-tree: prepare
	$(file >>$(KBUILDPY_RECORDS),$(kbuildpy-facts))
	@env -0 >$(KBUILDPY_ENVIRONMENT)
	+@$(MAKE) -n -s -f $(KBUILDPY_MK)/modpost.mk
	+@$(MAKE) -n -s -f $(KBUILDPY_MK)/modfinal.mk
endif
.PHONY: kbuildpy-tree
