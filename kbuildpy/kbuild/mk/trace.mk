# SPDX-License-Identifier: GPL-2.0-only
# Writes down every assignment that make carries out; read first by copies of makefiles, which `trace_makefiles` makes.
#
# In:  KBUILDPY_TRACE, the file for records; KBUILDPY_COPIES, a makefile that says which copy stands for a makefile;
#      KBUILDPY_QUESTIONS, a makefile that defines kbuildpy-asked; KBUILDPY_ANSWERS, the file for what it expands to
#      in the recipes of KBUILDPY_TARGETS; KBUILDPY_SOURCE, the tree's source part.
#
# Records:
#   start LEVEL        a make started
#   obj DIRECTORY      what it was asked about
#   note NUMBER        the assignment of that number was carried out
#   name VARIABLE
#   flavor FLAVOR
#   value TEXT         the variable's value after it, not expanded
#   include NUMBER     the include of that number is carried out
#   files NAMES        what it includes

define kbuildpy-trace-newline


endef

define kbuildpy-trace-start
start $(MAKELEVEL)
obj $(obj)
end
endef

define kbuildpy-trace-note
note $1
name $2
flavor $(flavor $2)
value $(subst $(kbuildpy-trace-newline), ,$(value $2))
end
endef

define kbuildpy-trace-include
include $1
files $(kbuildpy-including)
end
endef

kbuildpy-note-include = $(file >>$(KBUILDPY_TRACE),$(kbuildpy-trace-include))
kbuildpy-note = $(file >>$(KBUILDPY_TRACE),$(kbuildpy-trace-note))
kbuildpy-copy-of = $(firstword $(kbuildpy-at-$(abspath $1)) $(kbuildpy-at-$(abspath $(KBUILDPY_SOURCE)/$1)) $1)
kbuildpy-copies = $(foreach file,$1,$(call kbuildpy-copy-of,$(file)))

include $(KBUILDPY_COPIES)
$(file >>$(KBUILDPY_TRACE),$(kbuildpy-trace-start))
