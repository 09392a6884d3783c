# SPDX-License-Identifier: GPL-2.0-only
"""A Kbuild file that names no modules: which symbol, which call of Kbuild and which directory it takes."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from kbuildpy.scaffold.no_modules import no_modules
from tests.support.kbuild_sources import write_sources

CONFIG = {"CONFIG_MODULES": "y", "CONFIG_BUILT_IN": "y", "CONFIG_AS_MODULE": "m"}
WRAPPER = """\
ifneq ($(KERNELRELEASE),)
obj-$(CONFIG_DEMO) += demo.o
else
KDIR ?= /lib/modules/$(shell uname -r)/build
all:
	@$(MAKE) -C $(KDIR) \\
		M=$(PWD)PLACE CONFIG_DEMO=m "EXTRA=-O1 -g" modules
clean:
	$(MAKE) -C $(KDIR) M=$(PWD) OTHER=1 clean
endif
"""


def hints(place: Path, files: dict[str, str], read: tuple[str, ...] = ()) -> list[str]:
    """What is said of a directory with `files`, of which make has `read` some."""
    write_sources(files, place)
    names = [str(place / name) for name in read or tuple(files)[:1]]
    error = no_modules(
        place, names, release="6.1", value_of=lambda name: CONFIG.get(name, ""), command="kbuildpy build"
    )
    assert error.message == f"{place}: the Kbuild file names no modules for 6.1 (obj-m is empty)"
    assert error.status == 1
    return error.hint.replace(str(place), "@").split("\n")


@pytest.mark.parametrize(
    ("condition", "asks"),
    [
        ("ifdef CONFIG_DEMO", True),
        ("else ifdef CONFIG_DEMO", True),
        ("ifndef CONFIG_DEMO", False),
        ("ifeq ($(CONFIG_DEMO),m)", True),
        ("ifeq ($(CONFIG_DEMO),)", False),
        ("ifeq (, $(CONFIG_DEMO) )", False),
        ('ifeq "$(CONFIG_DEMO)" ""', False),
        ("ifeq '' '$(CONFIG_DEMO)'", False),
        ('ifeq "$(CONFIG_DEMO)" "y"', True),
        ("ifneq ($(CONFIG_DEMO),)", True),
        ("ifneq ($(filter y m,$(CONFIG_DEMO)),)", True),
        ("ifneq ('',$(CONFIG_DEMO))", False),
        ("ifneq ($(CONFIG_DEMO),y)", False),
    ],
)
def test_a_condition_that_holds_without_the_symbol_asks_for_nothing(condition: str, asks: bool, tmp_path: Path) -> None:
    [said] = hints(tmp_path, {"Kbuild": f"{condition}\nobj-m := a.o\nendif\n"})
    assert said.startswith("Kbuild:1: CONFIG_DEMO is not set" if asks else "obj-m is empty")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "obj-$(CONFIG_DEMO) += a.o b.o\n",
            "Kbuild:1: CONFIG_DEMO is not set, and a.o b.o depends on it: give CONFIG_DEMO=m",
        ),
        (
            "\nobj-${CONFIG_DEMO} := \\\n  a.o\n",
            "Kbuild:2: CONFIG_DEMO is not set, and a.o depends on it: give CONFIG_DEMO=m",
        ),
        (
            "obj-$(CONFIG_BUILT_IN) = a.o\n",
            "Kbuild:1: CONFIG_BUILT_IN is y, so that a.o is not made a module: give CONFIG_BUILT_IN=m",
        ),
        (
            "ifdef CONFIG_DEMO\nobj-m := a.o\nendif\n",
            "Kbuild:1: CONFIG_DEMO is not set, and `ifdef CONFIG_DEMO` asks for it",
        ),
        (
            "ifeq ($(CONFIG_DEMO),y)\nobj-m := a.o\nendif\n",
            "Kbuild:1: CONFIG_DEMO is not set, and `ifeq ($(CONFIG_DEMO),y)` asks for it",
        ),
        (
            "# obj-$(CONFIG_DEMO) += a.o\nifdef CONFIG_MODULES\nendif\n",
            "obj-m is empty: the Kbuild file says what modules there are as `obj-m := NAME.o`",
        ),
    ],
)
def test_a_symbol_that_is_not_set_is_named(text: str, said: str, tmp_path: Path) -> None:
    assert hints(tmp_path, {"Kbuild": text}) == [said]


def test_a_makefile_that_calls_kbuild_says_how(tmp_path: Path) -> None:
    [call, symbol] = hints(tmp_path / "a", {"Makefile": WRAPPER.replace("PLACE", "")})
    assert call == (
        "Makefile:6 calls Kbuild as `$(MAKE) -C $(KDIR) M=$(PWD) CONFIG_DEMO=m EXTRA=-O1 -g modules`: "
        "kbuildpy build @ CONFIG_DEMO=m EXTRA='-O1 -g'"
    )
    assert symbol.startswith("Makefile:2: CONFIG_DEMO is not set")
    [call, _] = hints(tmp_path / "b", {"Makefile": WRAPPER.replace("PLACE", "/drv/src")})
    assert call.endswith(": kbuildpy build @/drv/src CONFIG_DEMO=m EXTRA='-O1 -g'")
    [call, _] = hints(tmp_path / "c", {"Makefile": WRAPPER.replace("PLACE", "/$(SUB)")})
    assert call.endswith(" M=$(PWD)/$(SUB) CONFIG_DEMO=m EXTRA=-O1 -g modules`")


def test_a_hint_is_one_command_whatever_the_makefile_says(tmp_path: Path) -> None:
    text = 'all:\n\t$(MAKE) -C $(KDIR) "M=$(PWD)/a b" "EXTRA=\';reboot;\'" modules\n'
    files = {"Makefile": text, "c d/Kbuild": "obj-m := x.o\n"}
    for hint in hints(tmp_path, files):
        words = shlex.split(hint.rpartition(": kbuildpy build ")[2])
        assert words in (["@/a b", "EXTRA=';reboot;'"], ["@/c d"]), hint


def test_a_makefile_that_cannot_be_read_says_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Path, **_: object) -> None:
        raise PermissionError

    write_sources({"Makefile": WRAPPER}, tmp_path)
    monkeypatch.setattr(Path, "read_text", refuse)
    assert hints(tmp_path, {}, read=("Makefile",))[0].startswith("obj-m is empty")


def test_kbuild_files_that_nothing_leads_to_are_named(tmp_path: Path) -> None:
    files = {
        "Kbuild": "obj-y += read/\n",
        "read/Kbuild": "obj-$(CONFIG_DEMO) += a.o\n",
        "src/Makefile": "obj-m := b.o\n",
        "src/deep/Kbuild": "obj-m := c.o\n",
        "tools/Makefile": "all:\n\tcc x.c\n",
        "build/6.1/.kbuildpy/x": "",
        "build/6.1/Kbuild": "obj-m := no.o\n",
    }
    assert hints(tmp_path, files, read=("Kbuild", "read/Kbuild")) == [
        "read/Kbuild:1: CONFIG_DEMO is not set, and a.o depends on it: give CONFIG_DEMO=m",
        "src/Makefile names objects, and nothing leads there: kbuildpy build @/src",
        "src/deep/Kbuild names objects, and nothing leads there: kbuildpy build @/src/deep",
    ]


def test_no_more_is_told_than_can_be_read(tmp_path: Path) -> None:
    found = hints(tmp_path, {"Kbuild": "".join(f"obj-$(CONFIG_X{number}) += a.o\n" for number in range(30))})
    assert len(found) == 9
    assert found[-1] == "(and 22 more)"
