# SPDX-License-Identifier: GPL-2.0-only
"""What decides the key of an object in a shared cache, and which objects get none."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from kbuildpy.kbuild.portable_root import command_without_root, portable_root, with_root, without_root
from kbuildpy.scons.cache import _take
from kbuildpy.scons.named_files import named_files
from kbuildpy.scons.recipe import (
    Recipe,
    has_untold_inputs,
    may_be_shared,
    own_code,
    scripts_read_more,
    variables_of_compilers,
)


def key(place: Path, **changes: object) -> str:
    """The key of an object, with one thing `changed`."""
    source, program = place / "a.c", place / "program"
    source.write_text(str(changes.get("source", "int a;")))
    program.write_text(str(changes.get("program", "compiler")))
    recipe = Recipe(
        lambda: str(changes.get("state", "headers")),
        [str(changes.get("command", "gcc -c a.c"))],
        lambda: [str(changes.get("word", "gcc 12"))],
        lambda: [str(program)],
    )
    return recipe.find_key([str(changes.get("target", "/out/a.o"))], [str(source)])


@pytest.mark.parametrize("what", ["source", "program", "state", "command", "word", "target"])
def test_whatever_decides_the_bytes_decides_the_key(what: str, tmp_path: Path) -> None:
    assert key(tmp_path) == key(tmp_path)
    assert key(tmp_path, **{what: "other"}) != key(tmp_path)


def test_the_code_that_writes_files_decides_the_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = key(tmp_path)
    assert own_code() == own_code.__wrapped__()
    package = tmp_path / "package"
    (package / "modpost").mkdir(parents=True)
    (package / "modpost/stage.py").write_text("one")
    one = own_code.__wrapped__(str(package))
    (package / "modpost/stage.py").write_text("two")
    assert own_code.__wrapped__(str(package)) != one
    monkeypatch.setattr("kbuildpy.scons.recipe.own_code", lambda: one)
    assert key(tmp_path) != first


def test_times_of_files_do_not_decide_the_key(tmp_path: Path) -> None:
    first = key(tmp_path)
    for path in tmp_path.iterdir():
        path.touch()
    assert key(tmp_path) == first


@pytest.mark.parametrize(
    ("option", "shared"),
    [
        ("-gsplit-dwarf", False),
        ("-march=native", False),
        ("-fprofile-use=x", False),
        ("-fplugin=./x.so", False),
        ("-save-temps", False),
        ("-march=x86-64", True),
        ("-fno-omit-frame-pointer", True),
        ("-DX=-gsplit-dwarf", True),
    ],
)
def test_a_command_that_reads_or_writes_more_than_it_tells_is_not_shared(option: str, shared: bool) -> None:
    assert not may_be_shared(["/usr/bin/distcc gcc -c a.c"])
    assert may_be_shared([f"gcc -O2 {option} -c a.c", "objtool a.o"]) is shared


@pytest.mark.parametrize(
    ("text", "untold"),
    [
        (b'\t.incbin "blob"\n', True),
        (b'asm(".include \\"x\\"");\n', True),
        (b"char *when = __TIMESTAMP__;\n", True),
        (b' #  embed "blob"\n', True),
        (b"#if __has_include(<x.h>)\n", True),
        (b"#if __has_embed(<x>)\n", True),
        (b'#include "x.h"\nint included;\n', False),
    ],
)
def test_a_source_with_inputs_that_no_compiler_tells_is_known(text: bytes, untold: bool) -> None:
    assert has_untold_inputs(text) is untold


def test_a_source_that_uses_its_place_is_bound_to_it() -> None:
    assert has_untold_inputs(b"char *me = KBUILD_MODFILE;", names_place=True)
    assert not has_untold_inputs(b"char *me = KBUILD_MODFILE;")


def test_variables_that_compilers_read_count() -> None:
    assert variables_of_compilers({"CPATH": "/x", "HOME": "/root"}) == ["CPATH=/x"]


@pytest.mark.parametrize(
    ("options", "root"),
    [
        ("-ffile-prefix-map=/home/me/src=.", "/home/me/src"),
        ("-ffile-prefix-map=/home/me/src/drv=drv", "/home/me/src/drv"),
        ("-ffile-prefix-map=/home/me/src/=", "/home/me/src"),
        ("-ffile-prefix-map=/home/me/sr=.", ""),
        ("-ffile-prefix-map=/other=.", ""),
        ("-fdebug-prefix-map=/home/me/src=.", ""),
        ("-ffile-prefix-map=/home/me/src=. -g3", ""),
        ("-ffile-prefix-map=/home/me/src=. -gz", ""),
        ("-ffile-prefix-map=/home/me/src=. -ffile-prefix-map=/home/me=x", ""),
        ("-fmacro-prefix-map=/home/me/=x -ffile-prefix-map=/home/me/src=.", ""),
        ("-ffile-prefix-map=/home/me/src=. '-fdebug-prefix-map=/home/me/s=x'", ""),
        ("-ffile-prefix-map=/home/me/src=. -Wa,--debug-prefix-map=/home=x", ""),
        ("-ffile-prefix-map=/home/me/src=. -ffile-prefix-map==x", ""),
        ("-ffile-prefix-map=/home/me/src=. -ffile-prefix-map=/home/me/src/drv=x", ""),
        ("-ffile-prefix-map=/home/me/src=. -fdebug-prefix-map=/home/me/src/drv=x", "/home/me/src"),
        ("-ffile-prefix-map=/home/me/src=. -fmacro-prefix-map=/usr/src/linux/=", "/home/me/src"),
        ("", ""),
    ],
)
def test_a_place_is_mapped_away_by_a_map_of_all_that_the_compiler_writes(options: str, root: str) -> None:
    assert portable_root(f"gcc {options} -c /home/me/src/drv/a.c", "/home/me/src/drv") == root


def test_a_command_is_the_same_for_every_place_where_the_place_does_no_harm() -> None:
    command = (
        "gcc -Wp,-MMD,{0}/.a.o.d -I{0}/include -include {0}/x.h -ffile-prefix-map={0}=. -DOTHER={0}2 "
        "-DKBUILD_MODFILE='\"{0}/a\"' -o {0}/a.o {0}/a.c ; echo '{0}/a.o: x' >> {0}/.a.o.cmd"
    )
    one, other = (command_without_root(command.format(root), root) for root in ("/a", "/longer/place"))
    assert one.replace("-DOTHER=/a2", "") == other.replace("-DOTHER=/longer/place2", "")
    assert with_root(one, "/a") == command.format("/a")
    harmful = command_without_root('gcc -DPLACE="/a/x" /a/a.c', "/a")
    assert harmful.startswith('gcc -DPLACE="/a/x" @')


def test_a_place_is_a_whole_path_or_its_beginning() -> None:
    text = "/src/a /src2/a x/src/a /src: -I/src\n"
    assert without_root(text, "/src") == "@kbuildpy-place@/a /src2/a x/src/a @kbuildpy-place@: -I@kbuildpy-place@\n"
    assert with_root(without_root(text, "/src"), "/src") == text


@pytest.mark.parametrize(
    "words",
    [
        "-T {0}/sections.lds",
        "-T{0}/sections.lds",
        "-T sections.lds",
        "--version-script={0}/sections.lds",
        "'-Wl,-T,{0}/sections.lds'",
        "-R ./sections.lds",
        "< sections.lds",
    ],
)
def test_the_contents_of_files_that_a_command_names_decide_the_key(words: str, tmp_path: Path) -> None:
    script, target = tmp_path / "sections.lds", tmp_path / "one.ko"
    commands = [f"ld -r {words.format(tmp_path)} -o {target} {tmp_path}/one.o"]

    def found() -> str:
        recipe = Recipe(lambda: "", commands, list)
        recipe.named = lambda targets: named_files(commands, cwd=str(tmp_path), targets=targets)
        return recipe.find_key([str(target)], [])

    script.write_text("SECTIONS { }")
    first = found()
    for written in (target, tmp_path / ".one.ko.cmd", tmp_path / "one.mod"):
        written.write_text("what the command writes")
    assert found() == first
    script.write_text("SECTIONS { .text : { } }")
    assert found() != first


@pytest.mark.parametrize(
    ("text", "more"),
    [("INCLUDE other.lds", True), ("INPUT(blob.o)", True), ("SECTIONS { .init.text 0 : { *(.init.text) } }", False)],
)
def test_a_linker_script_that_reads_other_files_is_known(text: str, more: bool, tmp_path: Path) -> None:
    for name in ("one.lds", "one.h"):
        (tmp_path / name).write_text(text)
    assert scripts_read_more([str(tmp_path / "one.lds")]) is more
    assert not scripts_read_more([str(tmp_path / "one.h")])


@pytest.mark.parametrize(
    ("command", "shared"),
    [
        ("gcc @/src/opts -c a.c", False),
        ("gcc -Wp,@/src/opts -c a.c", False),
        ("ld -r -o /src/one.o @/src/one.mod", True),
        ("ld -r -o /src/one.o @/src/two.mod", False),
        ("gcc '-march=native' -c a.c", False),
        ('gcc -march="native" -c a.c', False),
        ("gcc -Xclang -load -Xclang ./x.so -c a.c", False),
        ("clang -fpass-plugin=./x.so -c a.c", False),
        ("clang -fauto-profile=x -c a.c", False),
        ("clang --config ./x.cfg -c a.c", False),
        ("clang -fsanitize-ignorelist=x -c a.c", False),
        ("gcc -B/opt/bin -c a.c", False),
        ("ld -Bsymbolic -r a.o", True),
        ("ld -r -L. -lown a.o", False),
        ("gcc -DX='open -c a.c", False),
    ],
)
def test_quotes_lists_of_words_and_plugins_are_seen(command: str, shared: bool) -> None:
    assert may_be_shared([command]) is shared


def test_what_comes_too_late_from_the_cache_is_removed(tmp_path: Path) -> None:
    class LateCache:
        """Gives up while a file is being written."""

        def take(self, key: str, into: Path, *, count: int) -> None:
            Path(f"{into}.0").write_text("half")

    action = SimpleNamespace(begin=lambda: None, whose="")
    targets = [SimpleNamespace(get_abspath=lambda name=name: str(tmp_path / name)) for name in ("a.o", ".a.o.cmd")]
    recipe: Any = Recipe(lambda: "", [], list)
    late: Any = LateCache()
    assert not _take(late, cast(Any, action), recipe, targets, [])
    assert list(tmp_path.iterdir()) == []
