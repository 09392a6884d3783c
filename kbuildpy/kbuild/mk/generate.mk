# SPDX-License-Identifier: GPL-2.0-only
# Lets make carry out a Kbuild file's own rules (generated sources, host programs, always-y) and nothing else; run in
# place of scripts/Makefile.build. Commands that kbuildpy carries out itself become `:`.
#
# In: obj, KBUILDPY_MK, KBUILDPY_NATIVE (the rules that are ours), KBUILDPY_NEEDED (the targets of such rules
#     that make must make nevertheless, because a rule of the Kbuild file's own reads them).

include $(srctree)/scripts/Makefile.build
include $(KBUILDPY_MK)/remember.mk

define kbuildpy-wrap
kbuildpy-real-$1 = $(value $1)
$1 = $$(if $$(and $$(filter $$1,$$(KBUILDPY_NATIVE)),$$(filter-out $$(KBUILDPY_NEEDED),$$@)),@:,$$(kbuildpy-real-$1))
endef
$(foreach macro,cmd if_changed if_changed_dep if_changed_rule,$(eval $(call kbuildpy-wrap,$(macro))))

build := -f $(KBUILDPY_MK)/generate.mk obj

# Those targets first: where make meets one of them as a prerequisite, before it was a goal, it takes it for an
# intermediate file (.SECONDARY of scripts/Kbuild.include) and whatever depends on it for out of date.
kbuildpy-goal := $(.DEFAULT_GOAL)
.DEFAULT_GOAL := kbuildpy-generate
PHONY += kbuildpy-generate
kbuildpy-generate: $(filter $(KBUILDPY_NEEDED),$(targets)) $(kbuildpy-goal)
.PHONY: kbuildpy-generate
