# SPDX-License-Identifier: GPL-2.0-only
"""Why a file is made again (`kbuildpy build --explain`, V=2): after each edit, its cause and nothing else."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.support.builds import kbuildpy
from tests.support.edits import edit
from tests.support.kernel_trees import usual_tree
from tests.support.scons_project import ALONE, HEADER, SYMBOL, SConsProject

pytestmark = pytest.mark.parity

SOURCE = '#include <linux/module.h>\n#include "own.h"\n{}MODULE_LICENSE("GPL");\n'
KBUILD = "obj-m := pair.o alone.o\npair-y := one.o two.o\n"


@pytest.fixture
def built(tmp_path: Path) -> Path:
    """A directory of two modules, built."""
    place = tmp_path / "module"
    place.mkdir()
    (place / "Kbuild").write_text(KBUILD)
    (place / "own.h").write_text("/* nothing */\n")
    for name in ("one", "alone"):
        (place / f"{name}.c").write_text(SOURCE.format(""))
    (place / "two.c").write_text("int two(void);\nint two(void)\n{\n\treturn 2;\n}\n")
    build(place)
    return place


def build(place: Path, *words: str) -> None:
    assert kbuildpy("build", place, "-k", usual_tree().release, "-q", *words).returncode == 0


def reasons(place: Path, *words: str) -> dict[str, str]:
    """The reason for each object that would be compiled."""
    done = kbuildpy("build", place, "-k", usual_tree().release, "-n", "--explain", *words)
    assert done.returncode == 0
    return dict(re.findall(r"^  CC \[M\]  (\S+(?<!\.mod)\.o) - (.*)$", done.text, re.MULTILINE))


def test_nothing_is_said_of_a_build_with_nothing_to_do(built: Path) -> None:
    assert reasons(built) == {}


def test_a_source_and_a_header(built: Path) -> None:
    edit(built / "own.h", "nothing", "something")
    edit(built / "two.c", "return 2", "return 3")
    own = dict.fromkeys(("one.o", "alone.o"), "own.h changed")
    found = {name: text.replace(f"{built}/", "") for name, text in reasons(built).items()}
    assert found == {**own, "two.o": "two.c changed"}


def test_flags_come_with_their_origins(built: Path) -> None:
    edit(built / "Kbuild", "pair-y", "CFLAGS_two.o := -DTWO\npair-y")
    found = reasons(built, "KCFLAGS=-DKC")
    makefile = next(
        number
        for number, line in enumerate((usual_tree().source / "Makefile").read_text().split("\n"), 1)
        if re.match(r"KBUILD_CFLAGS\s.*\$\(KCFLAGS\)", line)
    )
    given = f"flag -DKC is new (command line: KCFLAGS, by Makefile:{makefile})"
    assert found["one.o"] == found["alone.o"] == given
    assert found["two.o"] == f"{given}; flag -DTWO is new (./Kbuild:2 CFLAGS_two.o)"
    build(built, "KCFLAGS=-DKC")
    assert reasons(built)["one.o"] == "flag -DKC is gone"


def test_a_build_says_the_same_while_it_builds(built: Path) -> None:
    edit(built / "two.c", "return 2", "return 3")
    (built / "build" / usual_tree().release / "alone.o").unlink()
    done = kbuildpy("build", built, "-k", usual_tree().release, "V=2")
    found = dict(re.findall(r"^  (?:CC|LD) \[M\]  (\S+) - (.*)$", done.text.replace(f"{built}/", ""), re.MULTILINE))
    assert found["two.o"] == "two.c changed"
    assert found["alone.o"] == "it is gone"
    assert found["pair.o"] == "two.o changed"
    assert "one.o" not in found


def test_an_object_whose_record_was_changed(built: Path) -> None:
    record = built / "build" / usual_tree().release / ".alone.o.cmd"
    record.write_text("# of somebody else\n")
    assert reasons(built)["alone.o"].startswith("its .cmd file changed")


def test_a_first_build_says_so(built: Path) -> None:
    done = kbuildpy("build", built, "-k", usual_tree().release, "-n", "--explain", "-o", built / "other")
    assert "  CC [M]  one.o - it was not made before\n" in done.text


def test_kernel_headers_and_config_symbols(private: SConsProject) -> None:
    edit(private.kdir.parent / "source/include" / HEADER, "#define _LINUX_CISCODE_H", "#define _LINUX_CISCODE_H\n")
    autoconf = private.kdir / "include/generated/autoconf.h"
    before = autoconf.read_text()
    autoconf.unlink()
    autoconf.write_text(f"{before}#define CONFIG_{SYMBOL}_MODULE 1\n")
    said = private.scons("-n", "V=2").output
    assert re.search(rf"^  CC \[M\]  pair_b\.o - include/{HEADER} changed$", said, re.MULTILINE)
    assert re.search(rf"^  CC \[M\]  user\.o - CONFIG_{SYMBOL} was not set, is m$", said, re.MULTILINE)
    assert "pair_a.o" not in said


def test_a_flag_of_a_declaration_is_that_of_its_line(tmp_path: Path) -> None:
    project = SConsProject(tmp_path, usual_tree().objects, ALONE)
    project.build()
    sconstruct = tmp_path / "SConstruct"
    lines = sconstruct.read_text().split("\n")
    line = next(number for number, text in enumerate(lines, 1) if "KernelModule(" in text)
    edit(sconstruct, "['alone.c']", "['alone.c'], CCFLAGS=['-DZ']")
    said = project.scons("-n", "V=2").output
    assert re.search(rf"^  CC \[M\]  \S+ - flag -DZ is new \(SConstruct:{line}\)$", said, re.MULTILINE)
