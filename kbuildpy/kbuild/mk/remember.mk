# SPDX-License-Identifier: GPL-2.0-only
# Caches the compiler's answer about an option during a run of make.
#
# cc-option and its kin (scripts/Makefile.compiler; before 5.12, scripts/Kbuild.include) run the compiler by way of
# try-run wherever a recipe or a recursive variable has them: in a Kbuild file with a rule for each of three hundred
# tests of the kernel, that is a thousand equal calls. The arguments of try-run are all that its result depends on.

kbuildpy-empty :=
kbuildpy-space := $(kbuildpy-empty) $(kbuildpy-empty)
kbuildpy-hash := \#
# (the characters that no variable's name may have)
kbuildpy-key = $(subst :,%c,$(subst =,%e,$(subst $(kbuildpy-hash),%h,$(subst $(kbuildpy-space),%s,$(strip $1;$2;$3)))))
kbuildpy-plain = $(subst $(kbuildpy-hash),\$(kbuildpy-hash),$(subst $$,$$$$,$1))
kbuildpy-ask = $(eval $(call kbuildpy-plain,kbuildpy-said-$4) := $(call kbuildpy-plain,$(call kbuildpy-try-run,$1,$2,$3)))
kbuildpy-tell = $(if $(filter undefined,$(origin kbuildpy-said-$4)),$(kbuildpy-ask))$(kbuildpy-said-$4)

define kbuildpy-define
define kbuildpy-try-run
$(value try-run)
endef
endef

ifneq ($(value try-run),)
$(eval $(kbuildpy-define))
try-run = $(call kbuildpy-tell,$1,$2,$3,$(call kbuildpy-key,$1,$2,$3))
endif
