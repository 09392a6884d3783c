# SPDX-License-Identifier: GPL-2.0-only
"""Why a target is made again (V=2): what the descriptions of its action tell."""

from __future__ import annotations

import pytest

from kbuildpy.scons.reasons import _changed_action

ORIGINS = [("-Wall", "Makefile:7"), ("-include x.h", "Makefile:8"), ("-DZ", "SConstruct:12")]


def description(
    flags: str, *, compiler: str = "gcc 12.2", facts: str = "with gcc of 2026-01-01 00:00:00, 5 bytes"
) -> str:
    return f"gcc {flags} a.c ; objtool --x a.o\nnm a.o\nby {compiler}\n{facts}"


@pytest.mark.parametrize(
    ("old", "new", "reasons"),
    [
        ({}, {}, []),
        ({}, {"compiler": "gcc 12.3"}, ["the compiler was gcc 12.2, is gcc 12.3"]),
        ({}, {"facts": "with gcc of 2026-01-02 00:00:00, 5 bytes"}, ["gcc is another file"]),
        ({}, {"facts": "with -ffile-prefix-map=a=b"}, ["-ffile-prefix-map=a=b is new"]),
        ({"flags": "-Wall -include x.h"}, {}, ["flag -DZ is new (SConstruct:12)"]),
        ({"flags": "-Wall -include x.h -DZ -O2"}, {}, ["flag -O2 is gone"]),
        (
            {"flags": "-Wall -include y.h -DZ"},
            {},
            ["flag -include x.h is new (Makefile:8)", "flag -include y.h is gone"],
        ),
        # The first -DZ is not the new one, and the origin of the second one is not known.
        ({}, {"flags": "-Wall -include x.h -DZ -DZ"}, ["flag -DZ is new"]),
    ],
)
def test_the_difference_of_two_actions(old: dict[str, str], new: dict[str, str], reasons: list[str]) -> None:
    flags = {"flags": "-Wall -include x.h -DZ"}
    found = _changed_action(description(**{**flags, **old}), description(**{**flags, **new}), lambda: ORIGINS)
    assert list(found) == reasons


def test_a_change_outside_of_the_compiler_s_options_is_told() -> None:
    before = description("-Wall")
    assert list(_changed_action(before, before.replace("nm a.o", "nm -g a.o"), list)) == [
        "another of its commands changed"
    ]
    assert list(_changed_action(before, before.replace("--x", "--y"), list)) == ["its command changed"]
