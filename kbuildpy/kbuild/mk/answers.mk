# SPDX-License-Identifier: GPL-2.0-only
# Expands texts in the recipes that compile objects: read after record.mk (see trace.mk).
include $(KBUILDPY_QUESTIONS)
kbuildpy-answered = $(if $(filter $(KBUILDPY_TARGETS),$@),$(file >>$(KBUILDPY_ANSWERS),$(kbuildpy-asked)))
kbuildpy-emit = $(if $(strip $(cmd_$1)),$(file >>$(KBUILDPY_RECORDS),$(kbuildpy-record))$(kbuildpy-answered))
