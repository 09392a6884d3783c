# SPDX-License-Identifier: GPL-2.0-only
# Macros that print what Kbuild would do instead of doing it.
#
# Kbuild's recipes reach the shell through a handful of macros (scripts/Kbuild.include: cmd, if_changed,
# if_changed_dep, if_changed_rule). They are expanded when a recipe runs, so that a definition made after
# the tree's makefiles were read is the one that counts. Ours append a record to $(KBUILDPY_RECORDS):
#
#   rule NAME          which cmd_NAME
#   target TARGET      $@
#   source FILE        $<
#   needs FILES        $^ without FORCE
#   quiet TEXT         what Kbuild would print, e.g. "CC [M]  hello.o"
#   command TEXT       the expanded command
#   end
#
# Lines of a command are joined with spaces: Kbuild's own commands are single shell lines.

define kbuildpy-newline


endef

define kbuildpy-record
rule $1
target $@
source $<
needs $(filter-out FORCE,$^)
quiet $(quiet_cmd_$1)
command $(subst $(kbuildpy-newline), ,$(cmd_$1))
end
endef

kbuildpy-emit = $(if $(strip $(cmd_$1)),$(file >>$(KBUILDPY_RECORDS),$(kbuildpy-record)))

cmd               = @:$(kbuildpy-emit)
cmd_and_savecmd   = @:$(kbuildpy-emit)
cmd_and_fixdep    = @:$(kbuildpy-emit)
if_changed        = @:$(kbuildpy-emit)
if_changed_dep    = @:$(kbuildpy-emit)
if_changed_except = @:$(kbuildpy-emit)
if_changed_rule   = $(rule_$1)
