# SPDX-License-Identifier: GPL-2.0-only
"""What help below errors reads in sources and in small kernel trees, against the compiler and the preprocessor."""

from __future__ import annotations

import math
import os
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from kbuildpy.advice.advice import Advice
from kbuildpy.advice.compile_errors import CompileScene, compile_advice
from kbuildpy.advice.compiler_messages import missing_names
from kbuildpy.advice.conditions import holds
from kbuildpy.advice.header_search import find_declarations
from kbuildpy.advice.kbuild_symbols import switched_off
from kbuildpy.advice.other_kernels import OtherKernels
from kbuildpy.advice.source_text import read_source
from kbuildpy.advice.undefined import ModpostModule, ModpostScene, symbol_advice
from kbuildpy.advice.uses import ModuleSources
from kbuildpy.elf import ModuleImage
from kbuildpy.kernel.fetched import fetched_trees
from kbuildpy.kernel.find import installed_trees
from kbuildpy.kernel.open_tree import open_tree
from kbuildpy.kernel.tree import KernelTree
from kbuildpy.modpost.diagnostics import DiagnosticTopic
from kbuildpy.run import run
from kbuildpy.scons.hear_objtool import hear_objtool
from kbuildpy.scons.tell_advice import tell_advice
from tests.support.fake_trees import fake_tree

DEFINED = {
    "a comment that begins in a directive": "#define A 1 /* one\nint wrong(void) { return 1; }\n*/\nint right = A;\n",
    "marks of comments in a directive": '#define A "/*"\n#define B 1 // /*\nint right = B; const char *also = A;\n',
    "an attribute before the name": (
        "#define __printf(a, b) __attribute__((format(printf, a, b)))\n"
        "static __printf(1, 2) void say(const char *format, ...)\n{\n}\nvoid (*used)(const char *, ...) = say;\n"
    ),
    "attributes behind the name": (
        "#define __must_hold(x)\n#define __other(x)\nvoid one(int n) __must_hold(n)\n{\n}\n"
        "void __two(int n) __other(n)\n{\n}\nvoid three(int n) __other(n)\n{\n}\n"
    ),
    "a type in brackets": "int x;\n__typeof__(x) get(void)\n{\n\treturn x;\n}\n",
    "a tag that is a variable's name, too": "struct dev { int a; };\nstruct dev;\nstruct dev dev;\n",
    "a variable behind a struct": "struct dev {\n\tint a[2];\n\tstruct { int b; } c;\n}\nmine = { { 1 } };\n",
    "an array of an unnamed struct": "static struct {\n\tint a;\n} many[2];\nvoid *use(void)\n{\n\treturn many;\n}\n",
    "enumerators": "enum kind { ONE, TWO };\nenum kind kind = ONE;\n",
}


@pytest.mark.parametrize("text", DEFINED.values(), ids=DEFINED)
def test_definitions_are_those_of_the_compiler(text: str, tmp_path: Path) -> None:
    path = tmp_path / "a.c"
    path.write_text(text)
    run(["gcc", "-g", "-w", "-c", "a.c"], cwd=tmp_path)
    source = read_source(str(path))
    assert source
    assert {
        each.name: (source.line(each.start), each.is_function, each.is_static)
        for each in (source.definition(name) for name in {each.name for each in source.definitions})
        if each is not None
    } == defined_in_dwarf(tmp_path / "a.o")


def defined_in_dwarf(path: Path) -> dict[str, tuple[int, bool, bool]]:
    """The functions and variables of a file: line, whether it is a function, whether it is static."""
    found = {}
    for unit in ModuleImage.from_path(path).elffile().get_dwarf_info().iter_CUs():
        for entry in unit.get_top_DIE().iter_children():
            if entry.tag in ("DW_TAG_subprogram", "DW_TAG_variable"):
                name, line = (entry.attributes[key].value for key in ("DW_AT_name", "DW_AT_decl_line"))
                is_static = "DW_AT_external" not in entry.attributes
                found[name.decode()] = (line, entry.tag == "DW_TAG_subprogram", is_static)
    return found


def tree_with(place: Path, files: dict[str, str], config: str = "") -> KernelTree:
    """A kernel tree with these files."""
    fake_tree(place, config=f"CONFIG_X86=y\nCONFIG_64BIT=y\n{config}")
    for name, text in files.items():
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        (place / name).write_text(text)
    return KernelTree(place, place, "6.1.0-56-amd64")


def test_names_the_line_of_a_makefile_that_leaves_an_object_out(tmp_path: Path) -> None:
    text = "obj-$(CONFIG_A) += one.o \\\n\tmore.o\nobj-$(CONFIG_A) += two.o\n"
    tree = tree_with(tmp_path, {"drivers/Makefile": text})
    [found] = switched_off(tree, "f", ["drivers/two"])
    assert found.text.startswith("drivers/Makefile:3: obj-$(CONFIG_A) has two.o")


def test_a_search_that_ran_out_of_time_says_nothing_and_is_made_again(tmp_path: Path) -> None:
    tree = tree_with(tmp_path, {"include/linux/a.h": "int f(void);\n"})
    assert find_declarations(tree, ["f"], deadline=0) == {"f": []}
    nowhere = "no module, no header here and no other kernel here has it"
    for deadline, expected in ((0, False), (math.inf, True)):
        help = help_with(tree, "g", tmp_path, "int g(void);\nint f(void) { return g(); }\n", deadline=deadline)
        assert (nowhere in help.lines) == expected
    [found] = find_declarations(tree, ["f"], deadline=math.inf)["f"]
    assert found.place == "include/linux/a.h:1"


@pytest.mark.parametrize(
    ("condition", "is_told"),
    [
        ("#if 1", True),
        ("#ifdef CONFIG_ON", True),
        ("#ifdef NOPE", False),
        ("#if 0", False),
        ("#ifdef CONFIG_OFF", False),
        ("#ifndef CONFIG_ON\n#else", True),
        ("#ifdef CONFIG_ON\n#else", False),
    ],
)
def test_a_static_function_that_is_not_compiled_is_not_told(condition: str, is_told: bool, tmp_path: Path) -> None:
    text = f"{condition}\nstatic int g(void) {{ return 1; }}\n#endif\n"
    compiled = run(["gcc", "-E", "-P", "-DCONFIG_ON", "-x", "c", "-"], input=text.encode()).text
    assert ("static" in compiled) == is_told
    tree = tree_with(tmp_path / "tree", {}, "CONFIG_ON=y\n")
    other = "int g(void);\nint f(void) { return g(); }\n"
    help = help_with(tree, "g", tmp_path, other, more=text)
    assert (f"static in x.ko at {tmp_path}/more.c:" in " ".join(help.lines)) == is_told


def help_with(
    tree: KernelTree, symbol: str, place: Path, text: str, *, more: str = "", deadline: float = math.inf
) -> Advice:
    """The help with an undefined symbol of a module that is made from `text`, and from `more`, which has no object."""
    (place / "a.c").write_text(text)
    (place / "more.c").write_text(more)
    run(["gcc", "-c", "a.c"], cwd=place)
    opened = ModuleSources(ModuleImage.from_path(place / "a.o"), (f"{place}/a.c", f"{place}/more.c"))
    modules = {"x": ModpostModule("x.ko", lambda: opened)}
    others = OtherKernels(tree, place / "none")
    scene = ModpostScene(tree, modules, (), (), others, quotes_namespaces=False, deadline=deadline)
    [help], _ = symbol_advice(scene, [DiagnosticTopic("undefined", "x", symbol)])
    return help


def test_a_signature_is_that_of_the_declaration_that_the_source_sees(tmp_path: Path) -> None:
    headers = {
        "include/linux/a.h": "#ifdef CONFIG_OFF\nint f(void);\n#else\nint f(int a, int b);\n#endif\nint g(void);\n",
        "include/linux/b.h": "int g(int a, int b, int c);\n",
    }
    tree = tree_with(tmp_path, headers)
    for name, header, line in (("f", "a", 4), ("g", "b", 1)):
        (tmp_path / "x.c").write_text(f"#include <linux/{header}.h>\nint x(void) {{ return {name}(1); }}\n")
        words = ["gcc", f"-I{tmp_path}/include", "x.c"]
        environ = {**os.environ, "LC_ALL": "C"}
        said = run([*words, "-fsyntax-only"], cwd=tmp_path, check=False, env=environ).error_text
        seen = run([*words, "-E", "-dD"], cwd=tmp_path).text
        assert f"include/linux/{header}.h:{line}:5: note: declared here" in said
        others = OtherKernels(tree, tmp_path / "none")
        scene = CompileScene(tree, "x.o", lambda seen=seen: seen, others, tmp_path)  # type: ignore[misc]
        [help], _ = compile_advice(scene, missing_names(said))
        assert help.lines[0].startswith(f"here it is include/linux/{header}.h:{line}: ")


def test_a_kernel_whose_headers_were_not_all_read_is_named(tmp_path: Path) -> None:
    tree = tree_with(tmp_path, {"include/linux/a.h": "int f(void);\n"})
    said = "x.c:1:21: error: implicit declaration of function 'g'; did you mean 'h'? [-Werror]\n"
    unread = "the headers of 6.1.0-56-amd64 were not read to the end in 3 s: look again"
    for deadline, expected in ((0, [(unread,)]), (math.inf, [])):
        scene = CompileScene(tree, "x.o", lambda: "", OtherKernels(tree, tmp_path / "none"), tmp_path, deadline)
        found, _ = compile_advice(scene, missing_names(said))
        assert [each.lines for each in found] == expected


def test_a_symbol_that_is_defined_is_not_said_to_be_nowhere(tmp_path: Path) -> None:
    help = help_with(tree_with(tmp_path / "tree", {}), "f", tmp_path, "int f(void) { return 0; }\n")
    assert help.lines == (f"defined in x.ko at {tmp_path}/a.c:1, but not exported: add EXPORT_SYMBOL_GPL(f)",)


@pytest.mark.parametrize("text", ["(" * 100_000, "!" * 100_000 + "defined(CONFIG_X)"])
def test_a_condition_of_very_many_brackets_is_left_open(text: str) -> None:
    assert holds(text, {}) is None


class HeardGroup:
    """As much of a group as help needs."""

    def __init__(self) -> None:
        self.advice: list[Advice] = []
        self.lock = threading.Lock()
        self.whose = ""


SAID = "a.o: warning: objtool: f+0x6: return with DF set\n"


def hear(group: HeardGroup, monkeypatch: pytest.MonkeyPatch, open_object: Callable[[], None]) -> None:
    layout = SimpleNamespace(relative=str, actual=str)
    monkeypatch.setattr("kbuildpy.scons.module_sources.module_sources", lambda *_: open_object())
    hear_objtool(group, "a.o", layout)(SAID)  # type: ignore[arg-type]


def test_an_object_that_is_gone_is_no_error_of_objtool_and_no_other_thread_waits_for_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    group, locked = HeardGroup(), []

    def open_object() -> None:
        locked.append(group.lock.locked())
        raise FileNotFoundError("a.o")

    hear(group, monkeypatch, open_object)
    assert locked == [False]
    assert "help: f: C code expects the direction flag clear" in capsys.readouterr().err


def test_with_enough_help_no_object_is_opened(monkeypatch: pytest.MonkeyPatch) -> None:
    group, opened = HeardGroup(), []
    group.advice = [Advice("objtool", f"f{number}", (), ()) for number in range(60)]
    hear(group, monkeypatch, lambda: opened.append("a.o"))
    assert opened == []


def test_counts_nothing_more_below_help_that_was_told_before(capsys: pytest.CaptureFixture[str]) -> None:
    group, found = HeardGroup(), [Advice("objtool", "f", ("a.o",), ("a fact",))]
    for file, expected in (("a.o", "kbuildpy: help: f: a fact\nkbuildpy: help: and 5 more\n"), ("b.o", "")):
        tell_advice(group, [replace(each, files=(file,)) for each in found], 5)  # type: ignore[arg-type]
        assert capsys.readouterr().err == expected
    assert group.advice[0].files == ("a.o", "b.o")


def test_other_kernels_are_the_newest_of_each_line_installed_or_fetched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KBUILDPY_CACHE", str(tmp_path / "cache"))
    placed = {"root": ["6.1.0-40-amd64", "6.12.5-amd64"], "cache/kernels": ["5.10.0-1-amd64", "6.1.0-43-amd64"]}
    for place, releases in placed.items():
        for release in (*releases, *(["6.1.0-44-amd64", "6.1.0-45-amd64", "6.12.9-amd64"] if place != "root" else [])):
            fake_tree(tmp_path / place / f"usr/src/linux-headers-{release}", release)
    fetched = [tree.release for tree in fetched_trees().trees]
    assert len(fetched) == 5
    own = open_tree(tmp_path / "cache/kernels/usr/src/linux-headers-6.1.0-44-amd64")
    installed = OtherKernels(own, tmp_path / "root").trees
    assert [tree.release for tree in installed] == ["6.1.0-40-amd64", "6.12.5-amd64"]
    monkeypatch.setattr("kbuildpy.advice.other_kernels.installed_trees", lambda _: installed_trees(tmp_path / "root"))
    of_both = OtherKernels(own).trees
    assert [tree.release for tree in of_both] == ["5.10.0-1-amd64", "6.1.0-43-amd64", "6.1.0-45-amd64", "6.12.9-amd64"]
