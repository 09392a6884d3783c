# SPDX-License-Identifier: GPL-2.0-only
"""What a user can get wrong: one clear error each, the right exit status, and a good build once it is mended."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from kbuildpy.execute import Completed
from kbuildpy.kernel.tree import KernelTree
from tests.support.builds import kbuildpy, make
from tests.support.guest_kernels import one_of
from tests.support.kbuild_sources import exporting, module, write_sources
from tests.support.kernel_trees import private_tree, swept, tree_of, trees, usual_tree
from tests.support.scons_project import ALONE, HEAD, SConsProject

pytestmark = pytest.mark.parity

GOOD = {"Kbuild": "obj-m := good.o\n", "good.c": module()}
NEEDS = "int {0}(void); int {1}(void); int {0}(void) {{ return {1}(); }}\nEXPORT_SYMBOL({0});"


@pytest.fixture(scope="module")
def tree() -> KernelTree:
    return usual_tree()


Builder = Callable[..., Completed]


@pytest.fixture
def place(tmp_path: Path) -> Path:
    return tmp_path / "module"


@pytest.fixture
def build(tree: KernelTree, place: Path) -> Builder:
    """Builds the module directory, or what is given in place of it."""

    def call(*words: str | Path) -> Completed:
        named = any(not str(word).startswith("-") and "=" not in str(word) for word in words[:1])
        kernel = [] if "-k" in words or any("KDIR=" in str(word) for word in words) else ["-k", str(tree.objects)]
        return kbuildpy("build", *([] if named else [place]), *words, *kernel)

    return call


def assert_refused(done: Completed, status: int, *texts: str) -> None:
    """`done` ended with `status`, says each of `texts`, and shows no traceback."""
    said = done.text + done.error_text
    assert done.returncode == status, said
    for text in texts:
        assert text in said, f"{text!r} is not in:\n{said}"
    assert "Traceback" not in said
    assert 'File "' not in said, f"this is a traceback in SCons' style:\n{said}"


def assert_mended(build: Builder, place: Path, mend: Mapping[str, str], *, modules: int = 1) -> None:
    """Once `mend` is written, the next build makes exactly what a clean one makes."""

    def results() -> dict[str, bytes]:
        wanted = (".ko", ".mod.c", "Module.symvers", "modules.order")
        return {str(path): path.read_bytes() for path in place.rglob("*") if path.name.endswith(wanted)}

    write_sources(mend, place)
    done = build()
    assert done.returncode == 0, done.error_text
    mended = results()
    assert build("-c").returncode == 0
    assert results() == {}
    assert build().returncode == 0
    assert mended == results()
    assert len([name for name in mended if name.endswith(".ko")]) == modules


def test_cleaning_does_not_ask_about_files_that_another_job_may_be_removing(build: Builder, place: Path) -> None:
    write_sources(GOOD, place)
    assert build().returncode == 0
    code = (
        "import sys; from SCons.Node.FS import File; from kbuildpy.cli import main\n"
        "def gone(node): raise TypeError(f'{node} was removed meanwhile')\n"
        "File.is_up_to_date = gone\n"
        f"sys.exit(main(['build', {str(place)!r}, '-c', '-k', {str(usual_tree().objects)!r}]))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    assert sorted(path.name for path in place.iterdir()) == ["Kbuild", "good.c"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["-k", "nonsense"], ["no kernel nonsense is installed, neither headers nor image; installed: ", "6.1."]),
        (["-k", "/nowhere"], ["/nowhere: no such file or directory", "`kbuildpy kernels` lists"]),
        (["KDIR=/nowhere"], ["/nowhere: no such directory", "`kbuildpy kernels` lists"]),
        (["KDIR=/usr"], ["/usr: not a kernel tree"]),
        (["-j", "0"], ["-j 0: at least one job"]),
        (["-j", "x"], ["-j", "invalid int value: 'x'"]),
        (["--frobnicate"], ["usage: kbuildpy build ", "kbuildpy build: error: unknown option --frobnicate"]),
        (["1X=3"], ["1X=3: neither a variable of make nor a directory", "NAME=VALUE"]),
        (["-o", "KBUILD/good.c"], ["good.c: not a directory", "name another directory"]),
        (["-o", "out put"], ["out put: the path contains a space: Kbuild's commands cannot write there"]),
        (["-o", "out,put"], ["out,put: the path contains ',': Kbuild's commands cannot write there"]),
    ],
    ids=" ".join,
)
def test_a_wrong_call_is_told_apart(words: list[str], said: list[str], build: Builder, place: Path) -> None:
    write_sources(GOOD, place)
    done = build(place, *(word.replace("KBUILD", str(place)) for word in words))
    assert_refused(done, 2, *said)
    assert sorted(path.name for path in place.iterdir()) == ["Kbuild", "good.c"]


def test_a_directory_that_is_none_is_refused(build: Builder, place: Path, tmp_path: Path) -> None:
    write_sources(GOOD, place)
    (tmp_path / "empty").mkdir()
    assert_refused(build(place / "nowhere"), 2, "nowhere: no such directory", "name the directory that holds")
    assert_refused(build(place / "good.c"), 2, "good.c: not a directory")
    assert_refused(build(tmp_path / "empty"), 2, "empty: no Kbuild file here (neither Kbuild nor Makefile)")
    assert_refused(build(place, tmp_path / "empty"), 2, "one directory at a time, not 2")


@pytest.mark.parametrize("name", ["with space", "co:lon", "per%cent", "com,ma", "dol$lar", "quo'te", "ha#sh"])
def test_a_path_that_kbuild_cannot_build_in_is_refused(
    name: str, build: Builder, tmp_path: Path, tree: KernelTree
) -> None:
    write_sources(GOOD, tmp_path / name)
    assert make(tree, tmp_path / name).returncode != 0, "make can build there, so should we"
    (unbuildable,) = set(name) & set(" :%,$'#")
    word = "a space" if unbuildable == " " else f"'{unbuildable}'"
    assert_refused(build(tmp_path / name), 2, f"{name}: the path contains {word}", "move the module to a path without")
    assert not (tmp_path / name / "build").exists()


@pytest.mark.parametrize(
    "case",
    [
        ("obj-m := good.o\nthis is not make\n", ["/Kbuild:2: *** missing separator.  Stop."]),
        ("obj-m := good.o\n$(error install libfoo first)\n", ["/Kbuild:2: *** install libfoo first.  Stop."]),
        ("obj-m := good.o\ngood-y := here.o gone.o\n", ["module/gone.o', needed by", "gone.c missing, or misspelled"]),
        *swept(
            ("obj-m := good.o\nifeq (1,1\n", ["/Kbuild:2: *** ", "invalid syntax in conditional"]),
            ("obj-m := good.o\ninclude $(src)/gone.mk\n", ["/Kbuild:2: ", "/gone.mk: No such file or directory"]),
            ("obj-m := good.o gone/\n", ["/gone/Makefile: No such file or directory"]),
        ),
    ],
    ids=["separator", "$(error)", "source", "conditional", "include", "subdirectory"],
)
def test_a_kbuild_file_that_make_refuses(case: tuple[str, list[str]], build: Builder, place: Path) -> None:
    text, said = case
    write_sources({"Kbuild": text, "good.c": module(), "here.c": module()}, place)
    assert_refused(build(), 1, "make refuses the Kbuild file", *said)
    assert_mended(build, place, {"Kbuild": "obj-m := good.o\n"})


def test_other_modules_are_compiled_despite_an_error(build: Builder, place: Path) -> None:
    write_sources(
        {
            "Kbuild": "obj-m := broken.o lacking.o good.o\n",
            "broken.c": "int f( {\n",
            "lacking.c": '#include "gone.h"\n',
            "good.c": module(),
        },
        place,
    )
    done = build("-K")
    assert_refused(done, 1, "broken.c:1:8: error: expected", "lacking.c:1:10: fatal error: gone.h: No such file")
    assert "broken.o: the compiler failed" in done.error_text
    assert len(list(place.rglob("good.o"))) == 1
    assert list(place.rglob("broken.o")) == list(place.rglob("*.ko")) == []
    assert_mended(build, place, {"broken.c": module(), "lacking.c": module()}, modules=3)


def test_two_modules_of_one_name_are_refused(build: Builder, place: Path) -> None:
    write_sources({"Kbuild": "obj-m := x/ y/\n", "x/Kbuild": "obj-m := same.o\n", "x/same.c": module()}, place)
    write_sources({"y/Kbuild": "obj-m := same.o\n", "y/same.c": module(), "y/other.c": module()}, place)
    said = ["the following would cause module name conflict", "x/same.ko", "y/same.ko", "rename one of the modules"]
    assert_refused(build(), 1, *said)
    assert_mended(build, place, {"y/Kbuild": "obj-m := other.o\n"}, modules=2)


def test_modules_that_need_each_other_are_refused(build: Builder, place: Path) -> None:
    write_sources({"Kbuild": "obj-m := one.o two.o\n"}, place)
    write_sources({"one.c": exporting(NEEDS.format("f", "g")), "two.c": exporting(NEEDS.format("g", "f"))}, place)
    assert_refused(
        build(), 1, "modules need each other: one -> two -> one", "move their shared functions into another module"
    )
    assert list(place.rglob("*.ko")) == []
    assert_mended(
        build, place, {"two.c": exporting("int g(void); int g(void) { return 1; }\nEXPORT_SYMBOL(g);")}, modules=2
    )


def test_an_empty_source_is_refused_as_by_make(build: Builder, place: Path, tree: KernelTree) -> None:
    write_sources({"Kbuild": "obj-m := good.o\n", "good.c": ""}, place)
    message = "ERROR: modpost: missing MODULE_LICENSE() in "
    assert_refused(build(), 1, message)
    oracle = make(tree, place)
    assert oracle.returncode != 0
    assert message in oracle.error_text
    make(tree, place, goal="clean")
    assert_mended(build, place, {"good.c": module()})


def test_a_file_where_a_directory_must_be_and_the_reverse(build: Builder, place: Path, tree: KernelTree) -> None:
    write_sources({"Kbuild": "obj-m := good.o\n", "good.c/in-the-way": ""}, place)
    assert_refused(build(), 1, "good.c found where file expected", "move it out of the way")
    (place / "good.c/in-the-way").unlink()
    (place / "good.c").rmdir()
    write_sources({"good.c": module()}, place)
    ko = place / "build" / tree.release / "good.ko"
    ko.mkdir(parents=True)
    assert_refused(build(), 1, "good.ko found where file expected", "move it out of the way")
    ko.rmdir()
    shutil.rmtree(ko.parent / ".kbuildpy")
    (ko.parent / ".kbuildpy").touch()
    assert_refused(build(), 1, f"{ko.parent}/.kbuildpy", "Not a directory")
    (ko.parent / ".kbuildpy").unlink()
    (ko.parent / "marker").touch()
    assert_mended(build, place, {})


def test_names_may_be_long_but_not_too_long(build: Builder, place: Path) -> None:
    write_sources({"Kbuild": f"obj-m := {'n' * 56}.o\n", f"{'n' * 56}.c": module()}, place)
    assert_refused(build(), 1, "ERROR: modpost: module name is too long", f"{'n' * 56}.ko")
    write_sources({f"{'m' * 240}.c": module()}, place)
    assert_mended(build, place, {"Kbuild": f"obj-m := {'n' * 55}.o\n{'n' * 55}-y := {'m' * 240}.o\n"})


def test_names_that_are_not_utf_8_are_refused(build: Builder, place: Path) -> None:
    place.mkdir()
    name = os.fsdecode(b"b\xffd")
    (place / "Kbuild").write_text(f"obj-m := {name}.o\n", errors="surrogateescape")
    (place / f"{name}.c").write_text(module())
    assert_refused(build(), 2, "b�d.c: the name is not UTF-8", "rename it")
    assert_refused(build("-o", place / name), 2, "b�d: the name is not UTF-8")
    (place / f"{name}.c").unlink()
    assert_mended(build, place, GOOD)


def test_extra_symbols_that_are_not_there(build: Builder, place: Path, tree: KernelTree) -> None:
    write_sources(GOOD, place)
    variable = "KBUILD_EXTRA_SYMBOLS=/gone/Module.symvers"
    assert "/gone/Module.symvers: No such file or directory" in make(tree, place, [variable]).error_text
    make(tree, place, goal="clean")
    assert_refused(
        build(variable), 1, "/gone/Module.symvers: No such file or directory", "build the modules or the kernel"
    )
    assert_mended(build, place, {})


def test_a_compiler_that_is_not_there_is_named_with_its_package(build: Builder, place: Path, tree: KernelTree) -> None:
    write_sources(GOOD, place)
    kdir = private_tree(tree, place.with_name("tree"))
    variables = kdir / ".kernelvariables"
    text = variables.read_text().replace("gcc-12", "gcc-99")
    assert "gcc-99" in text
    variables.unlink()
    variables.write_text(text)
    done = build(f"KDIR={kdir}")
    assert_refused(done, 1, "gcc-99: not found; the kernel tree", "apt-get install gcc-99")
    assert_refused(build("CC=clang-1"), 1, "clang-1: not found", "apt-get install clang-1")
    assert_mended(build, place, {})


@pytest.mark.parametrize("line", one_of("6.12", "6.1"))
def test_a_tree_without_symvers_warns_and_goes_on_as_under_make(line: str, build: Builder, place: Path) -> None:
    if not any(tree.release.startswith(f"{line}.") for tree in trees()):
        pytest.skip(f"no headers of {line} installed")
    calls = 'int _printk(const char *text, ...); void call(void); void call(void) { _printk("x"); }'
    write_sources({"Kbuild": "obj-m := calls.o\n", "calls.c": module(calls)}, place)
    tree = tree_of(line)
    kdir = private_tree(tree, place.with_name("tree"))
    (kdir / "Module.symvers").unlink()
    oracle = make(KernelTree(kdir, tree.source, tree.release), place)
    said = [text for text in oracle.error_text.splitlines() if text.startswith(("WARNING: ", "ERROR: "))]
    assert any("Module.symvers is missing" in line for line in said)
    modules = {path.name: path.read_bytes() for path in place.glob("*.ko")}
    make(tree, place, goal="clean")
    assert_refused(build("-k", kdir), 0 if oracle.returncode == 0 else 1, *said)
    made = {path.name: path.read_bytes() for path in (place / "build" / tree.release).glob("*.ko")}
    assert made == modules
    assert bool(made) == (oracle.returncode == 0)


def test_a_tree_that_was_copied_with_the_path_of_another_is_refused(build: Builder, place: Path) -> None:
    write_sources(GOOD, place)
    tree = usual_tree()
    kdir = private_tree(tree, place.with_name("tree"))
    makefile = kdir / "Makefile"
    text = makefile.read_text()
    makefile.unlink()
    # (as `make O=` writes it from 7.2 on)
    makefile.write_text(f"export KBUILD_OUTPUT = {tree.objects}\n{text}")
    done = build("-k", kdir)
    assert_refused(
        done, 1, f"{kdir}: the kernel tree was moved or copied", f"write KBUILD_OUTPUT = {kdir} into {makefile}"
    )
    makefile.write_text(f"export KBUILD_OUTPUT = {kdir}\n{text}")
    assert build("-k", kdir).returncode == 0


def test_no_kernel_tree_at_all(place: Path, tmp_path: Path) -> None:
    write_sources(GOOD, place)
    code = (
        "import sys; from pathlib import Path; from kbuildpy.kernel import resolve\n"
        f"real = resolve.resolve; empty = Path({str(tmp_path / 'empty')!r})\n"
        "import kbuildpy.scons.standalone as alone\n"
        "alone.resolve = lambda *a, **k: real(*a, **{**k, 'root': empty})\n"
        f"from kbuildpy.cli import main; sys.exit(main(['build', {str(place)!r}]))\n"
    )
    environ = {name: value for name, value in os.environ.items() if name not in ("KDIR", "KERNELRELEASE")}
    # (a kernel that was fetched would be taken)
    environ["KBUILDPY_CACHE"] = str(tmp_path / "cache")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False, env=environ)
    assert_refused(
        Completed(done.returncode, done.stdout, done.stderr), 1, "no kernel tree found", "install", "KDIR=/path/to/tree"
    )


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({"SConstruct": f"{HEAD}env.Kbuild('gone')\n"}, ["gone: no such directory"]),
        ({"SConstruct": f"{HEAD}env.Kbuild('drv')\n", "drv/Kbuild": "ifeq (\n"}, ["drv/Kbuild:1: *** "]),
        ({"SConstruct": f"{HEAD}env.KernelModule('gone')\n"}, ["gone.c"]),
        ({"SConstruct": f"{HEAD}env.KernelModule('a/b')\n"}, ["'a/b' is not the name of a module"]),
        ({"SConstruct": f"{HEAD}env.KernelModule('none', [])\n"}, ["module none: no sources"]),
        (
            {**ALONE, "SConstruct": f"{ALONE['SConstruct']}env.KernelModule('alone', ['other.c'])\n", "other.c": ""},
            ["two modules are called alone"],
        ),
        (
            {**ALONE, "SConstruct": f"{ALONE['SConstruct']}env['KDIR'] = 3\nenv.Kbuild('.', KDIR='/gone')\n"},
            ["/gone: no"],
        ),
        (
            {"SConstruct": f"{HEAD}env.KernelModule('s', ['a b/s.c', 't.c'])\n", "a b/s.c": "", "t.c": ""},
            ["module s: a b/s.c: the path contains a space"],
        ),
        ({**ALONE, "build/RELEASE/.kbuildpy": ""}, ["SConstruct:5: ", "/.kbuildpy"]),
        ({"SConstruct": f"{HEAD}env.SignModule('x.ko', key='k')\n", "signed": ""}, ["signed found where directory"]),
        ({"SConstruct": f"{HEAD}env.SignModule('x.ko', key='k')\n", "k/x": ""}, ["key='k' is no file"]),
        (
            {"SConstruct": f"{HEAD}env.CheckModule('x.ko')\n", "x.ko.RELEASE.check/x": ""},
            [".check found where file expected", "move it out of the way"],
        ),
        ({"SConstruct": f"{HEAD}env.RunModule('x.ko')\n", "x.run.log/x": ""}, ["x.run.log found where file expected"]),
        ({"SConstruct": f"{HEAD}env.InstallModules('r', 'x.ko')\n", "r/lib": ""}, ["lib found where directory"]),
    ],
    ids=[
        *("directory", "Kbuild file", "source", "name", "sources", "twice", "tree", "space"),
        *("state", "signed", "key", "check", "report", "installed"),
    ],
)
def test_scons_stops_with_a_message(files: dict[str, str], said: list[str], tmp_path: Path, tree: KernelTree) -> None:
    named = {name.replace("RELEASE", tree.release): text for name, text in files.items()}
    project = SConsProject(tmp_path / "project", tree.objects, named)
    done = project.scons(status=2)
    for text in said:
        assert text in done.output, done.output
    assert "line" not in done.output.replace("command line", ""), done.output
