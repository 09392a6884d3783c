# SPDX-License-Identifier: GPL-2.0-only
"""CRCs and srcversions out of `.X.o.cmd` files, well-formed and strange, against the tree's modpost."""

from __future__ import annotations

import random
from collections.abc import Mapping
from pathlib import Path

import pytest

from kbuildpy.kernel.tree import KernelTree
from kbuildpy.modpost.records import ModuleObject, ObjectRecord
from kbuildpy.run import run
from tests.support.kernel_trees import TREES
from tests.support.modposts import Built, Outcome, assert_same_modpost, build, ours, relative_names, usual_options

pytestmark = pytest.mark.parity


@pytest.fixture(params=TREES, ids=lambda tree: tree.release)
def tree(request: pytest.FixtureRequest) -> KernelTree:
    found: KernelTree = request.param
    return found


def handmade(tree: KernelTree, directory: Path, records: Mapping[str, str], exports: tuple[str, ...] = ()) -> Built:
    """A module `mod` that exports functions, whose objects (their names) have these records."""
    lines = ['static const char info[] __attribute__((used, section(".modinfo"))) = "license=GPL\\0description=x";']
    for name in exports:
        lines.append(f"int {name}(void) {{ return 0; }}")
        if tree.version >= (6, 4):
            lines.append(
                f'asm(".section \\".export_symbol\\",\\"a\\"\\n__export_symbol_{name}: .asciz \\"\\"\\n'
                f' .ascii \\"\\\\0\\"\\n .balign 8\\n .quad {name}\\n.previous");'
            )
        else:
            lines.append(
                f'asm(".section \\"___ksymtab+{name}\\",\\"a\\"\\n__ksymtab_{name}: .quad {name}\\n.previous");'
            )
    (directory / "mod.c").write_text("\n".join(lines) + "\n")
    run(["gcc", "-c", "-o", directory / "mod.o", directory / "mod.c"])
    built = Built(tree, directory)
    names = []
    for name, text in records.items():
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.with_name(f".{path.name}.cmd").write_text(text)
        names.append(name if relative_names(tree) else str(path))
    (directory / "mod.mod").write_text("".join(f"{name}\n" for name in names))
    return built


SYMVERS = """\
savedcmd_a.o := gcc
#SYMVER hexadecimal 0x12345678
#SYMVER decimal 4000000000
#SYMVER octal 0755
#SYMVER not_octal 0789
#SYMVER words abc
#SYMVER trailing 0x1 2
#SYMVER upper 0XABCDEF01
#SYMVER stranger 0x00000001
#SYMVER twice 0x00000001
#SYMVER twice 0x00000002
#SYMVER zero 0x00000000
#SYMVER unfinished 0x3"""
NAMES = (
    "hexadecimal",
    "decimal",
    "octal",
    "not_octal",
    "words",
    "trailing",
    "upper",
    "twice",
    "zero",
    "unfinished",
    "unmentioned",
)


def test_crcs_are_read_alike(tree: KernelTree, tmp_path: Path) -> None:
    built = handmade(tree, tmp_path, {"a.o": SYMVERS, "b.o": "x\n#SYMVER decimal 0x5\n"}, NAMES)
    outcome = assert_same_modpost(built, ["mod"], ["-e", "-m", "-w"] + (["-M"] if tree.version >= (6, 4) else []))
    assert "0x12345678\thexadecimal" in (outcome.symvers or "")
    assert "0x00000005\tdecimal" in (outcome.symvers or "")


def record(object: str, source: str, dependencies: list[str]) -> str:
    return (
        f"savedcmd_{object} := gcc source_x deps_y -o {object}\n\nsource_{object} := {source}\n\ndeps_{object} := \\\n"
        + "".join(f"  {name} \\\n" for name in dependencies)
        + f"\n{object}: $(deps_{object})\n\n$(deps_{object}):\n"
    )


def with_sources(tree: KernelTree, directory: Path, texts: Mapping[str, str]) -> Built:
    """A module of `sub/a.o` and `b.o`: texts of `sub/a.c`, `b.c`, `sub/local.h`, `local.h`, `sub/deep/inner.h`."""
    for name, text in texts.items():
        (directory / name).parent.mkdir(parents=True, exist_ok=True)
        (directory / name).write_bytes(text.encode("latin-1"))

    def nominal(name: str) -> str:
        return name if relative_names(tree) else str(directory / name)

    headers = [nominal(name) for name in texts if name.endswith(".h")]
    strange = ["include/linux/types.h", "$(wildcard include/config/X)", str(directory / "sub/sub/../local.h")]
    return handmade(
        tree,
        directory,
        {
            "sub/a.o": record(nominal("sub/a.o"), nominal("sub/a.c"), [*strange, *headers]),
            "b.o": record(nominal("b.o"), nominal("b.c"), [*headers, *strange]),
            # members of a library do not count, whatever its record says
            "lib.a": record(nominal("lib.a"), nominal("b.c"), []),
        },
    )


SOURCES = {
    "plain": "int x;\n",
    "spaces": "int \t x\v\f\r;\n\n\n",
    "strings": 'char *a = "a  b /* c */ \\" // d";\n',
    "escaped backslash": 'char *a = "x\\\\"; int  y; char *b = "z  ";\n',
    "comments": "int /* a */ x; // b  c\n/*/ int  y; /* **/ int z; /***/\n",
    "open comment": "int x; /* to the end",
    "open string": 'char *a = "to  the end',
    "quote in a character": "char a = '\"'; int  b; char c = '\"';\n",
    "continued": "#define A \\\n  b \\\n\n#define B \\ \nint x;\\",
    "NUL": "int x;\0int y;\n",
    "high": 'char *a = "\xe9"; /* \xa0 */ \xa0\x85 int x;\n',
    "empty": "",
    "slash at the end": "int x; /",
    "one block": "x" * 64,
    "block minus nine": "x" * 55,
    "block minus eight": "x" * 56,
    "large": "int f(void) { return 1; } /* one */\n" * 2000,
}


@pytest.mark.parametrize("kind", SOURCES)
def test_srcversions_agree(kind: str, tree: KernelTree, tmp_path: Path) -> None:
    texts = {
        "sub/a.c": SOURCES[kind],
        "b.c": SOURCES[kind] + "int b;\n",
        "sub/local.h": "int local;\n",
        "local.h": "int upper;\n",
        "sub/deep/inner.h": "int inner;\n",
    }
    (tmp_path / "sub/sub").mkdir(parents=True)
    outcome = assert_same_modpost(with_sources(tree, tmp_path, texts), ["mod"], ["-e", "-a"])
    assert "srcversion" in "".join(outcome.mod_c.values())


def test_srcversions_of_random_text_agree(tree: KernelTree, tmp_path: Path) -> None:
    chance = random.Random(5)
    (tmp_path / "sub/sub").mkdir(parents=True)
    for length in (10, 100, 1000, 30000):
        texts = {name: "".join(chance.choices('ab"\\/* \n', k=length)) for name in ("sub/a.c", "b.c", "sub/local.h")}
        assert_same_modpost(with_sources(tree, tmp_path, texts), ["mod"], ["-e", "-a"])


def test_a_source_that_vanished_ends_both(tree: KernelTree, tmp_path: Path) -> None:
    built = with_sources(tree, tmp_path, {"b.c": "int b;\n", "sub/a.c": ""})
    (tmp_path / "sub/a.c").unlink()
    assert "No such file or directory" in assert_same_modpost(built, ["mod"], ["-e", "-a"]).messages


STRANGE_RECORDS = {
    "a source line without a name": "source_a:=\n",
    "indented": "  source_x := {dir}b.c\n \tdeps_x := \\\n\t{dir}local.h \\\n",
    "dependencies first": "deps_x := \\\n  {dir}local.h \\\nsource_x := {dir}b.c\n  {dir}b.c \\\n",
    "an end without an empty line": "source_x := {dir}b.c\ndeps_x := \\\n  {dir}b.c \\\n  {dir}b.c\n  {dir}b.c \\\n",
    "two lists": "deps_x := \\\n  {dir}local.h \\\n deps_y := \\\n  {dir}b.c \\\n\n",
    "two sources": "source_x := {dir}b.c\nsource_y := nothing {dir}local.h\n",
    "nothing": "cmd := x\n",
    "no newline at the end": "source_x := {dir}b.c\ndeps_x := \\\n  {dir}local.h \\",
}


@pytest.mark.parametrize("kind", STRANGE_RECORDS)
def test_strange_records_are_read_alike(kind: str, tree: KernelTree, tmp_path: Path) -> None:
    if kind == "a source line without a name" and tree.version < (6, 12):
        pytest.skip("6.1 crashes on it")
    (tmp_path / "s").mkdir()
    (tmp_path / "s/b.c").write_text("int b;\n")
    (tmp_path / "s/local.h").write_text("int local;\n")
    directory = "s/" if relative_names(tree) else f"{tmp_path}/s/"
    built = handmade(tree, tmp_path, {"s/b.o": STRANGE_RECORDS[kind].format(dir=directory)})
    assert_same_modpost(built, ["mod"], ["-e", "-a"])


def test_srcversion_is_that_of_the_build_in_place(tree: KernelTree, tmp_path: Path) -> None:
    """A module of several directories; our records lie elsewhere than where the objects' names say."""
    files = {
        "Kbuild": "obj-m := multi.o\nmulti-y := main.o sub/part.o\n",
        "main.c": '#include <linux/module.h>\n#include "local.h"\n#include "sub/shared.h"\n'
        'MODULE_LICENSE("GPL");\nMODULE_DESCRIPTION("x");\nMODULE_VERSION("2");\n'
        "int shared(void) { return LOCAL; }\nEXPORT_SYMBOL_GPL(shared);\n",
        "local.h": "#define LOCAL 1 // one\n",
        "sub/shared.h": "int shared(void);\n",
        "sub/part.c": '#include "shared.h"\n#include "../local.h"\n'
        "int part(void);\nint part(void) { return shared() + LOCAL; }\n",
    }
    built = build(tree, tmp_path / "src", files, "modules")
    expected = assert_same_modpost(built, ["multi"], usual_options(built))
    assert "srcversion" in "".join(expected.mod_c.values())
    elsewhere = tmp_path / "build"
    elsewhere.mkdir()
    module = built.module("multi")
    moved = tuple(
        ObjectRecord(object.name, object.record.rename(elsewhere / f"{number}.cmd"))
        for number, object in enumerate(module.objects)
    )
    found: Outcome = ours(built, ["multi"], usual_options(built), None, [ModuleObject(module.name, module.path, moved)])
    assert found == expected
