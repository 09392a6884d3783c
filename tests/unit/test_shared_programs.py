# SPDX-License-Identifier: GPL-2.0-only
"""The programs that decide the bytes of a shared object: the compiler itself, and what it starts."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from kbuildpy.kbuild.tree_programs import hides_compiler
from kbuildpy.scons.project import KernelProject
from kbuildpy.scons.recipe import variables_of_compilers


@pytest.mark.parametrize(
    ("name", "real", "hidden"),
    [
        ("gcc-12", "x86_64-linux-gnu-gcc-12", False),
        ("gcc", "ccache", True),
        ("gcc", "sccache", True),
        ("gcc", "distcc", True),
        ("gcc", "icecc", True),
        ("ccache", "ccache", False),
        ("/usr/bin/sccache", "sccache", False),
        ("/opt/mine", "distcc", True),
    ],
)
def test_a_compiler_behind_another_name_is_seen(name: str, real: str, hidden: bool, tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / real).touch()
    link = tmp_path / "link"
    link.symlink_to(tmp_path / "bin" / real)
    assert hides_compiler({name: str(link)}, {}) is hidden


@pytest.mark.parametrize("variable", ["CCACHE_PREFIX", "CCACHE_PREFIX_CPP", "CCACHE_COMPILER"])
def test_a_variable_lets_ccache_start_another_compiler(variable: str) -> None:
    assert hides_compiler({}, {variable: "distcc"})
    assert not hides_compiler({}, {variable: ""})


@pytest.mark.parametrize("variable", ["CCC_OVERRIDE_OPTIONS", "GNUTARGET", "LDEMULATION", "CCACHE_BASEDIR"])
def test_variables_of_the_programs_that_a_compiler_starts_count(variable: str) -> None:
    assert variables_of_compilers({variable: "x"}) == [f"{variable}=x"]


def test_the_assembler_and_the_compiler_proper_count_by_their_contents(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KBUILDPY_CACHE", str(tmp_path / "cache"))
    driver, assembler = tmp_path / "bin/gcc", tmp_path / "bin/as"
    driver.parent.mkdir()
    # As GCC: the assembler by its bare name where it is not the compiler's own.
    driver.write_text(f'#!/bin/sh\ncase "$1" in *=as) echo as;; *=cc1) echo {tmp_path}/cc1;; esac\n')
    for path in (driver, assembler, tmp_path / "cc1"):
        path.touch()
        path.chmod(0o755)
    project: Any = SimpleNamespace(
        answer=SimpleNamespace(programs={"CC": "gcc"}), environ={"PATH": f"{tmp_path}/bin:/usr/bin:/bin"}
    )
    project.environ["KBUILDPY_CACHE"] = str(tmp_path / "cache")
    found = [KernelProject._digest_parts_of_compiler(project)]
    for path in (assembler, tmp_path / "cc1"):
        path.write_text("another one")
        found.append(KernelProject._digest_parts_of_compiler(project))
    assert len({*map(str, found)}) == 3
    assert [word.partition(" ")[0] for word in found[0]] == ["as", "cc1"]
