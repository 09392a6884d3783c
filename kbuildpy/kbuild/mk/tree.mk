# SPDX-License-Identifier: GPL-2.0-only
# What a kernel tree decides for every external module: the environment that its top Makefile exports,
# and the commands after the module objects. Asked for a placeholder module directory.
#
# In: KBUILDPY_TREE (the tree's object part), KBUILDPY_MK, KBUILDPY_RECORDS, KBUILDPY_ENVIRONMENT,
#     KBUILDPY_BTF_THREADS: whether pahole gets the options that Kbuild gives it by itself.

include $(KBUILDPY_TREE)/Makefile

# With a time stamp Kbuild gives pahole (since 6.9) options under which it numbers types in the same order every time.
ifneq ($(need-sub-make),1)
ifeq ($(CONFIG_DEBUG_INFO_BTF)$(KBUILD_BUILD_TIMESTAMP)$(KBUILDPY_BTF_THREADS),y)
override KBUILD_BUILD_TIMESTAMP := any
module-pahole-flags-y :=
-include $(wildcard $(srctree)/scripts/Makefile.btf)
override undefine KBUILD_BUILD_TIMESTAMP
endif
endif

define kbuildpy-facts
makefiles $(MAKEFILE_LIST)
programs $(CC)|$(LD)|$(NM)|$(OBJCOPY)|$(PAHOLE)|$(AR)|$(HOSTCC)
compiler $(CC_VERSION_TEXT)
rust-programs $(if $(CONFIG_RUST),$(RUSTC)|$(RUSTC_OR_CLIPPY)|$(BINDGEN)|$(RUSTFMT))
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
