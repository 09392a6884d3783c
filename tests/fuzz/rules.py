# SPDX-License-Identifier: GPL-2.0-only
"""Kbuild files with rules of their own, put together at random. What they run is harmless, and done at once."""

from __future__ import annotations

from random import Random

NAMES = (
    "one",
    "two",
    "d/three",
    "gen",
    "d/gen",
    "absent",
    "a b",
    "é",
    "x%",
    "..",
    "../up",
    "one.c",
    "/nonexistent/x",
    "",
)
SUFFIXES = (".o", ".c", ".h", ".S", ".txt", ".lds", "", ".o_shipped", ".mod.c", ".ko", "/")
PREFIXES = ("$(obj)/", "$(src)/", "", "./", "$(objtree)/", "$(M)/", "$(KBUILD_EXTMOD)/", "$(abspath $(obj))/")
RECIPES = (
    "echo 'int made;' > $@",
    "cp $< $@",
    "touch $@",
    "@true",
    "@:",
    "-false",
    "false",
    "exit 3",
    "$(CC) $(c_flags) -c -o $@ $<",
    "$(LD) -r -o $@ $^",
    "mkdir -p $(dir $@) && cat $^ > $@ </dev/null",
    "$(call if_changed,gen)",
    "$(call if_changed_dep,cc_o_c)",
    "$(call cmd,shipped)",
    "ln -sf $(abspath $<) $@",
    "printf '\\033[31m\\0' > $@",
    "rm -f $@ $(src)/one.c.bak",
    "echo $$PWD $@ $* $? $(@D) $(<F) > $@",
    "echo a; \\\n\techo b > $@",
    "ln -sf $(notdir $@) $@",
    "mkdir -p $@",
)
LINES = (
    "obj-m := one.o two.o",
    "obj-m += two.o",
    "obj-m += gen.o",
    "obj-m += d/three.o",
    "obj-y += d/",
    "obj-m += both.o\nboth-y := one.o d/three.o",
    "both-objs += gen.o",
    "obj-m += self.o\nself-y := self.o",
    "lib-y += one.o",
    "always-y += gen.h",
    "extra-y += gen.txt",
    "targets += gen.c gen.h",
    "clean-files := gen.c *.bak",
    "ccflags-y += -I$(obj) -include $(obj)/gen.h",
    "CFLAGS_one.o := -DX='\"a b\"'",
    "CFLAGS_REMOVE_two.o := -O2",
    "hostprogs := tool",
    "quiet_cmd_gen = GEN     $@",
    "cmd_gen = echo '/* $< */' > $@",
    "$(obj)/one.o: $(obj)/gen.h",
    "$(obj)/one.o: $(obj)/two.o\n$(obj)/two.o: $(obj)/one.o",
    ".SECONDARY:",
    ".DELETE_ON_ERROR:",
    ".PHONY: phony",
    ".ONESHELL:",
    ".SUFFIXES:",
    "export A := $(shell echo a)",
    "B := $(shell echo b > $(obj)/b.txt; cat $(obj)/b.txt)",
    "$(info said)",
    "$(warning careful)",
    "$(eval obj-m += two.o)",
    "define many\nobj-m += $(1).o\nendef\n$(eval $(call many,one))",
    "include $(src)/absent.mk",
    "-include $(obj)/gen.mk",
    "ifeq ($(A),a)\nobj-m += one.o\nendif",
    "ifdef KERNELRELEASE",
    "endif",
    "override M := x",
    "MAKEFLAGS += -j9",
    "SHELL := /bin/false",
    "SHELL := /bin/bash",
    "V := $(V)",
    "unexport CC",
    "vpath %.c $(src)/d",
)


def kbuild_file(chance: Random) -> str:
    """The text of one."""
    lines = [LINES[0]]
    for _ in range(chance.choice((0, 1, 2, 4, 10))):
        lines.append(chance.choice(LINES))
    for _ in range(chance.choice((1, 1, 2, 5))):
        lines.append(_rule(chance))
    if chance.random() < 0.2:
        chance.shuffle(lines)
    return "\n".join(lines) + "\n"


def _rule(chance: Random) -> str:
    """A rule: explicit, of a pattern, with several targets, double or without a recipe."""
    targets = " ".join(_file(chance) for _ in range(chance.choice((1, 1, 1, 2))))
    sources = " ".join(_file(chance) for _ in range(chance.choice((0, 1, 1, 3))))
    if chance.random() < 0.2:
        targets, sources = "$(obj)/%.o", "$(src)/%.c FORCE"
    colon = chance.choice((":", ":", ":", "::", "&:", ": $(obj)/%.o:"))
    order = chance.choice(("", "", "", " FORCE", " | $(obj)/gen.h"))
    recipes = "".join(f"\t{chance.choice(RECIPES)}\n" for _ in range(chance.choice((0, 1, 1, 1, 3))))
    return f"{targets}{colon} {sources}{order}\n{recipes}"


def _file(chance: Random) -> str:
    """The name of a file as a rule has it."""
    known = ("$(obj)/gen.c", "$(obj)/gen.h", "$(obj)/one.o", "$(src)/one.c", "$(obj)/d/three.o", "$(obj)/gen.o")
    if chance.random() < 0.6:
        return chance.choice(known)
    return f"{chance.choice(PREFIXES)}{chance.choice(NAMES)}{chance.choice(SUFFIXES)}".replace(" ", "\\ ")
