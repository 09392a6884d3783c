# SPDX-License-Identifier: GPL-2.0-only
"""Lines of makefiles as GNU make reads them: make's own data base says where each variable was assigned."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from kbuildpy.origins.make_text import pieces, references
from kbuildpy.origins.makefile_lines import makefile_lines
from kbuildpy.run import run

MAKEFILE = """\
# VAR0 := in a comment
VAR1 := one # two
VAR2=a \\
  b \\
  c
  VAR3   ?= x$(subst =,:=,$(VAR1))
export VAR4 += $(if $(VAR1:one=y),a = b)
override export VAR5 = x
ifeq ($(strip $(VAR1)),one)
\tVAR6 := tabs outside of rules
else ifdef VAR1
VAR7 := unreached
else
VAR8 := unreached
endif
all: VAR9 := the target's own
\tVAR19 := tabs outside of rules
all: ; @:
\t@: VAR10 := in a recipe
\tVAR11 = in a recipe
ifdef VAR1
\tVAR12 = in a recipe
endif
VAR13 := after the recipe
define VAR14
VAR15 := in a definition
endef
VAR$(words 1 2 3)$(subst x,4,x) := computed
VAR16::=posix
$(eval VAR20 := by eval)
VAR17 := hash \\# is no comment
all: other ; VAR18 = in a recipe
other:
\t$(eval VAR21 += in a recipe)
.PHONY: all other
"""


def test_the_places_of_assignments_are_those_of_make(tmp_path: Path) -> None:
    makefile = tmp_path / "Makefile"
    makefile.write_text(MAKEFILE)
    printed = run(["make", "-n", "-p", "-r", "-f", makefile], cwd=tmp_path).text
    place = re.escape(f"(from '{makefile}', line ")
    pattern = rf"{place}(\d+)\)\n(?:override |export |define )*(VAR\d+)"
    by_make = {name: int(line) for line, name in re.findall(pattern, printed)}
    ours = {line.name: line.first for line in makefile_lines(MAKEFILE) if not line.includes}
    ours["VAR34"] = ours.pop("VAR$(words 1 2 3)$(subst x,4,x)")
    unreached = {"VAR7", "VAR8"}
    # (make shows a definition, which is no assignment of a word)
    assert by_make.pop("VAR14") == 25
    assert {name: line for name, line in ours.items() if name not in unreached} == by_make
    assert unreached <= ours.keys()


def test_conditions_are_those_around_a_line() -> None:
    found = {line.name: line.conditions for line in makefile_lines(MAKEFILE)}
    assert [(each.text, each.line, each.holds) for each in found["VAR6"]] == [("ifeq ($(strip $(VAR1)),one)", 9, True)]
    assert [(each.text, each.holds) for each in found["VAR7"]] == [
        ("ifeq ($(strip $(VAR1)),one)", False),
        ("ifdef VAR1", True),
    ]
    assert [each.holds for each in found["VAR8"]] == [False, False]
    assert found["VAR13"] == ()


def test_a_line_knows_where_it_ends_and_what_it_says() -> None:
    found = {line.name: line for line in makefile_lines(MAKEFILE)}
    assert (found["VAR2"].first, found["VAR2"].last, found["VAR2"].value) == (3, 5, "a b c")
    assert (found["VAR1"].operator, found["VAR1"].value) == (":=", "one")
    assert found["VAR3"].operator == "?="
    assert found["VAR17"].value == "hash \\# is no comment"


def test_includes() -> None:
    text = "include a.mk $(wildcard b/*.mk)\n-include c.mk # d\nsinclude e.mk\ninclude-y := f\nall:\n\tinclude g\n"
    found = [(line.operator, line.value) for line in makefile_lines(text) if line.includes]
    assert found == [("include", "a.mk $(wildcard b/*.mk)"), ("-include", "c.mk"), ("sinclude", "e.mk")]


@pytest.mark.parametrize(
    "text", ["", "\\", "define x", "ifeq", "endif\nelse\nendif", "$(", "a = $(b", "=", ":= x", "\t"]
)
def test_unfinished_text_is_read_to_its_end(text: str) -> None:
    for line in makefile_lines(text):
        assert list(references(line.value)) is not None


def test_pieces_of_a_text() -> None:
    text = "-a $(B) ${C_$(d).o} $(filter-out -x,$(E)) -f$@$$g $(call cc-option,-h,-i) $(J:k=l)"
    found = [(piece.text, piece.name, piece.arguments) for piece in pieces(text)]
    assert found == [
        ("-a ", "", None),
        ("$(B)", "B", None),
        (" ", "", None),
        ("${C_$(d).o}", "C_$(d).o", None),
        (" ", "", None),
        ("$(filter-out -x,$(E))", "filter-out", ("-x", "$(E)")),
        (" -f", "", None),
        ("$@", "@", None),
        ("$", "", None),
        ("g ", "", None),
        ("$(call cc-option,-h,-i)", "call", ("cc-option", "-h", "-i")),
        (" ", "", None),
        ("$(J:k=l)", "J:k=l", None),
    ]
    assert [piece.name for piece in references(text)] == ["B", "C_$(d).o", "d", "E", "@", "J:k=l"]
