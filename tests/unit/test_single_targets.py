# SPDX-License-Identifier: GPL-2.0-only
"""Which words are single targets, and what they mean to make; which are directories and variables stays as it was."""

from __future__ import annotations

import shlex
from contextlib import nullcontext
from pathlib import Path

import pytest

from kbuildpy import cli
from kbuildpy.cli.build import _directory_and_targets
from kbuildpy.errors import UsageError
from kbuildpy.kbuild.clang_options import options_for_clang
from kbuildpy.kbuild.layout import Layout
from kbuildpy.kbuild.single_targets import goals_for, is_of_module, is_single_target, no_rule, target_below


@pytest.mark.parametrize("word", ["x.o", "sub/x.i", "x.s", "a.b.lst", "x.ll", "x.symtypes", "x.ko", "x.mod.c", "sub/"])
def test_a_target_is_known_by_its_ending(word: str) -> None:
    assert is_single_target(word)


@pytest.mark.parametrize("word", ["x", "x.c", "x.h", ".o", "sub/.i", ".", "./", "../", "/", "x.mod", "x.json", ""])
def test_another_word_is_none(word: str) -> None:
    assert not is_single_target(word)


def test_only_what_comes_after_modpost_is_of_a_module() -> None:
    assert is_of_module("sub/x.ko")
    assert is_of_module("x.mod.c")
    assert not is_of_module("x.o")


def test_a_form_of_a_source_asks_for_what_its_object_needs() -> None:
    assert goals_for(["sub/x.i", "y.o", "sub/"]) == ["sub/x.i", "y.o", "sub/", "sub/x.o"]


def test_a_target_is_a_path_below_the_directory() -> None:
    place = Path("/m")
    assert target_below(place, "sub/../x.i", base=place) == "x.i"
    assert target_below(place, "/m/sub/", base=place) == "sub/"
    assert target_below(place, "x.i", base=place / "sub") == "sub/x.i"
    for word in ("../x.o", "/other/x.o", "/mm/x.o"):
        with pytest.raises(UsageError, match="not below /m"):
            target_below(place, word, base=place)


@pytest.mark.parametrize("name", ["/m/nix.i", "nix.i", "./nix.i"])
def test_a_goal_without_a_rule_is_a_wrong_call(name: str, tmp_path: Path) -> None:
    place = tmp_path / "m"
    place.mkdir()
    (place / "nic.c").touch()
    words = f"make[1]: *** No rule to make target '{name.replace('/m', str(place))}'.  Stop.\n"
    error = no_rule(place, words, base=str(place))
    assert error is not None
    assert error.message == f"nix.i: nothing in {place} says how to make it"
    assert error.hint == "did you mean nic.i?"


def test_a_missing_prerequisite_is_none() -> None:
    assert no_rule(Path("/m"), "make: *** No rule to make target 'a.h', needed by 'x.o'.  Stop.", base="/m") is None


def test_a_directory_is_never_taken_for_a_target(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("drv", "odd.o", "sub"):
        Path(name).mkdir()
    here = Path()
    assert _directory_and_targets([]) == (here, [])
    assert _directory_and_targets(["drv"]) == (Path("drv"), [])
    assert _directory_and_targets(["drv/"]) == (Path("drv"), [])
    assert _directory_and_targets(["odd.o"]) == (Path("odd.o"), [])
    assert _directory_and_targets(["gone"]) == (Path("gone"), [])
    assert _directory_and_targets(["drv", "x.i", "sub/"]) == (Path("drv"), ["x.i", "sub/"])
    assert _directory_and_targets([".", "drv/"]) == (here, ["drv/"])
    assert _directory_and_targets(["x.i", "drv/"]) == (here, ["x.i", "drv/"])
    for name in ("drv/Kbuild", "Kbuild"):
        with pytest.raises(UsageError, match="no Kbuild file in this directory") if name == "Kbuild" else nullcontext():
            assert _directory_and_targets(["drv/x.i"]) == (here, ["drv/x.i"])
        Path(name).touch()
    assert _directory_and_targets(["drv/x.i"]) == (here, ["drv/x.i"])
    with pytest.raises(UsageError, match="one directory at a time, not 2: drv, sub"):
        _directory_and_targets(["drv", "sub"])
    with pytest.raises(UsageError, match=r"x\.q: neither a variable nor a target") as error:
        _directory_and_targets(["drv", "x.q"])
    assert "x.lst" in error.value.hint


def test_compile_commands_take_no_word_for_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    gone = tmp_path / "gone"
    assert cli.main(["build", "--compile-commands", str(gone)]) == 2
    assert f"{gone}: no such directory" in capsys.readouterr().err
    assert cli.main(["build", str(tmp_path), f"--compile-commands={gone}/x.json"]) == 2
    assert "--compile-commands=FILE.json names the file" in capsys.readouterr().err


def test_names_of_another_form_move_with_its_depfile_and_no_other_name() -> None:
    layout = Layout("/m", "/m", "/out", "/kernel")
    command = "cc -E -Wp,-MMD,/m/sub/.x.i.d -include /m/sub/x.ih -I/m/sub -o /m/sub/x.i /m/sub/x.c"
    moved = command.replace("/m/sub/.x.i.d", "/out/sub/.x.i.d").replace("-o /m/sub/x.i", "-o /out/sub/x.i")
    assert layout.relocate(command, ["/m/sub/x.i"]) == moved
    assert layout.relocate("cc -include /m/x.i -c -o /m/x.o /m/x.c", ["/m/x.o"]) == (
        "cc -include /m/x.i -c -o /out/x.o /m/x.c"
    )


def test_clang_gets_what_chooses_the_language_and_no_option_of_gcc() -> None:
    given = (
        "gcc-12 -nostdinc -I./include -include k.h -DX=1 -std=gnu11 -fshort-wchar -mno-sse -m64 -march=armv8-a -O2"
        " -Wall -fconserve-stack -mindirect-branch=thunk-extern -falign-jumps=1 --param=x=1 --param asan-stack=1"
        " -Werror -pg -mrecord-mcount -gdwarf-5 -Wa,-gdwarf-5 -Wp,-MMD,/o/.x.o.d -fplugin=./p.so"
        " -Werror=return-type -c -o x.o"
    )
    kept = (
        "gcc-12 -nostdinc -I./include -include k.h -DX=1 -std=gnu11 -fshort-wchar -mno-sse -m64 -march=armv8-a -O2"
        " -Wall -Werror=return-type -c -o x.o -Wno-unknown-warning-option"
    )
    assert options_for_clang(shlex.split(given)) == shlex.split(kept)
