# SPDX-License-Identifier: GPL-2.0-only
"""How a build is called: variables that change what is checked or made, and directories named in every way."""

from __future__ import annotations

import os
import re
import shutil
import sys
from pathlib import Path

import pytest

from kbuildpy.execute import Completed
from kbuildpy.kernel.tree import KernelTree
from kbuildpy.run import run
from tests.support.builds import REPRODUCIBLE, assert_equal, complaints, kbuildpy, make
from tests.support.kbuild_sources import assert_same, both, exporting, module, write_sources
from tests.support.kernel_trees import newest_tree_first, swept, tree_of_release, trees
from tests.support.scons_project import HEAD

pytestmark = pytest.mark.parity

SUSPICIOUS = {
    "Kbuild": "obj-m := odd.o\nodd-y := main.o other.o\n",
    "main.c": module(
        "static int unused_one;\nint undeclared(int a) { int set_only; set_only = a; return 0; }\n"
        "int *zero(void);\nint *zero(void) { return 0; }\nstatic void takes(unsigned x) { }\n"
    ),
    "other.c": "static void __attribute__((noderef, address_space(1))) *far;\nint near(void);\n"
    "int near(void) { return *(int *)far; }\n",
}


@pytest.fixture(params=newest_tree_first())
def tree(request: pytest.FixtureRequest) -> KernelTree:
    return tree_of_release(request.param)


@pytest.mark.parametrize("variables", ["W=1 C=1", *swept("W=2 C=2")])
def test_checks_complain_as_under_make(variables: str, tree: KernelTree, tmp_path: Path) -> None:
    if not shutil.which("sparse"):
        pytest.skip("sparse is not installed")
    [(oracle, ours)] = both(tree, tmp_path / "m", SUSPICIOUS, *variables.split())
    assert_equal(oracle, ours)
    assert complaints(oracle), "nothing to compare"
    assert complaints(ours) == complaints(oracle)
    assert checked(ours.output) == checked(oracle.output) == ["main.c", "other.c"]


def checked(output: str) -> list[str]:
    """The sources of the lines that announce a checker, sorted."""
    return sorted(Path(name).name for name in re.findall(r"^  CHECK   (.*)$", output, re.MULTILINE))


def test_c_2_checks_sources_that_are_up_to_date(tmp_path: Path) -> None:
    if not shutil.which("sparse"):
        pytest.skip("sparse is not installed")
    tree, place = trees()[0], tmp_path / "m"
    write_sources(SUSPICIOUS, place)
    assert kbuildpy("build", place, "-k", str(tree.objects)).returncode == 0
    done = kbuildpy("build", place, "-k", str(tree.objects), "C=2")
    assert done.returncode == 0
    assert "CC " not in done.text
    assert checked(done.text) == ["main.c", "other.c"]
    assert done.error_text.count("warning:") == make_twice(tree, place).count("warning:") > 0


def make_twice(tree: KernelTree, place: Path) -> str:
    """What a second make says that is told to check all sources."""
    again = place.with_name("again")
    shutil.copytree(place, again, ignore=shutil.ignore_patterns("build"))
    make(tree, again)
    return make(tree, again, ["C=2"]).error_text


def test_a_checker_that_fails_leaves_the_objects_that_are_up_to_date_as_under_make(tmp_path: Path) -> None:
    tree, place = trees()[0], tmp_path / "m"
    write_sources({"Kbuild": "obj-m := good.o\n", "good.c": module()}, place)

    def ours(*words: str) -> Completed:
        return kbuildpy("build", place, "-k", tree.objects, *words)

    def oracle(*words: str) -> Completed:
        return make(tree, place, words)

    for build in (oracle, ours):
        assert build().returncode == 0
        before = states(place)
        assert build("C=2", "CHECK=false").returncode != 0
        assert states(place) == before != {}
        make(tree, place, goal="clean")


def states(place: Path) -> dict[Path, tuple[int, int]]:
    """The objects and modules below `place`, with their times and sizes."""
    found = [path for path in place.rglob("*") if path.suffix in (".o", ".ko")]
    return {path: (path.stat().st_mtime_ns, path.stat().st_size) for path in found}


def test_v_1_shows_the_commands(tree: KernelTree, tmp_path: Path) -> None:
    sources = {"Kbuild": "obj-m := shown.o\nccflags-y := -DSHOWN\n", "shown.c": module()}
    [(oracle, ours)] = both(tree, tmp_path / "m", sources, "V=1")
    assert_equal(oracle, ours)
    for program in ("gcc-12", "ld"):
        assert re.search(rf"^ *\S*{program} .*-o \S+", ours.output, re.MULTILINE), ours.output
    assert "-DSHOWN" in ours.output


@pytest.mark.parametrize("variable", ["KBUILD_MODPOST_WARN=1", *swept("KBUILD_MODPOST_NOFINAL=1", "KBUILD_VERBOSE=0")])
def test_modpost_and_an_undefined_symbol(variable: str, tree: KernelTree, tmp_path: Path) -> None:
    uses = "" if "NOFINAL" in variable else "void nowhere(void);\nvoid use(void);\nvoid use(void) { nowhere(); }\n"
    sources = {"Kbuild": "obj-m := uses.o\n", "uses.c": module(uses)}
    [(oracle, ours)] = both(tree, tmp_path / "m", sources, variable)
    assert (ours.status == 0) == (oracle.status == 0) == ("VERBOSE" not in variable)
    assert complaints(ours) == complaints(oracle)
    assert ours.names(".ko") == oracle.names(".ko") == ([] if "WARN" not in variable else ["uses.ko"])
    if ours.status == 0:
        assert ours.files == oracle.files


def test_an_export_of_a_static_function_is_refused(tree: KernelTree, tmp_path: Path) -> None:
    sources = {
        "Kbuild": "obj-m := hidden.o\n",
        "hidden.c": exporting("static int __attribute__((used)) mine(void) { return 1; }\nEXPORT_SYMBOL(mine);"),
    }
    [(oracle, ours)] = both(tree, tmp_path / "m", sources)
    assert oracle.status != 0
    assert ours.status == 1
    assert ours.names(".ko") == []
    [line] = [line for line in complaints(oracle) if "local symbol" in line or "static" in line]
    words = line.rsplit("/", 1)[-1].removeprefix("ERROR: modpost: ")
    assert words in ours.output


def test_the_directory_may_be_named_in_any_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tree, place = trees()[0], tmp_path / "m"
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))
    write_sources({"Kbuild": "obj-m := named.o\n", "named.c": module("SAY(file, __FILE__);")}, place)
    link = tmp_path / "link"
    link.symlink_to(place)
    kernel = ["-k", str(tree.objects), REPRODUCIBLE]
    output = place / "build" / tree.release
    [(oracle, _)] = both(tree, place, {p.name: p.read_text() for p in place.iterdir() if p.is_file()})
    ways: list[tuple[list[str], Path]] = [
        ([f"{place}/"], tmp_path),
        (["./m/../m"], tmp_path),
        ([str(link)], tmp_path),
        ([], link),
    ]
    for words, cwd in ways:
        shutil.rmtree(place / "build", ignore_errors=True)
        done = kbuildpy("build", *words, *kernel, cwd=cwd, env={"PWD": str(cwd)})
        assert done.returncode == 0, done.error_text
        assert (output / "named.ko").read_bytes() == oracle.files["named.ko"], (
            f"other bytes when called {words} in {cwd}"
        )


def test_the_kernel_on_the_command_line_goes_before_that_in_the_environment(tmp_path: Path) -> None:
    if len(trees()) < 2:
        pytest.skip("only one kernel tree is installed")
    wanted, other = trees()[:2]
    sources = {"drv/Kbuild": "obj-m := one.o\n", "drv/one.c": module(), "SConstruct": f"{HEAD}env.Kbuild('drv')\n"}
    write_sources(sources, tmp_path)
    named = [f"KERNELRELEASE={wanted.release}"]
    environ = {**os.environ, "KDIR": str(other.objects)}
    contradicting = [*named, f"KDIR={other.objects}"]
    for argv in ([sys.executable, "-m", "kbuildpy", "build", "-n", "drv"], [sys.executable, "-m", "SCons", "-n"]):
        done = run([*argv, *named], cwd=tmp_path, env=environ)
        assert f"KERNELRELEASE names {wanted.release}" in done.text + done.error_text
        refused = run([*argv, *contradicting], cwd=tmp_path, env=environ, check=False)
        assert refused.returncode == 2
        said = f"{named[0]}, but the named kernel tree is for {other.release} ({other.objects})"
        assert said in refused.text + refused.error_text
        assert "Traceback" not in refused.error_text


def test_a_build_of_nothing_fails_and_says_what_it_takes(tree: KernelTree, tmp_path: Path) -> None:
    place = tmp_path / "drv"
    sources = {"Kbuild": "obj-$(CONFIG_DEMO) := demo.o\n", "demo.c": module()}
    write_sources({"SConstruct": f"{HEAD}env.Kbuild('drv')\n"}, tmp_path)
    write_sources(sources, place)
    assert make(tree, place).returncode == 0
    assert not list(place.glob("*.ko"))
    said = [f"the Kbuild file names no modules for {tree.release}", "Kbuild:1: CONFIG_DEMO is not set, and demo.o"]
    done = kbuildpy("build", place, "-k", "all")
    assert done.returncode == 1
    for text in [*said, *(f"for {other.release} " for other in trees()), "--allow-empty"]:
        assert text in done.error_text
    assert "Traceback" not in done.error_text
    allowed = kbuildpy("build", place, "-k", "all", "--allow-empty")
    assert (allowed.returncode, "CONFIG_DEMO" in allowed.error_text) == (0, False)
    assert said[0] in allowed.error_text
    assert kbuildpy("build", place, "-k", "all", "-c").returncode == 0
    declared = run([sys.executable, "-m", "SCons", f"KDIR={tree.objects}"], cwd=tmp_path)
    assert all(text in declared.error_text for text in said)
    # What it says to give makes the module, as it does for make.
    assert_same(tree, tmp_path / "m", sources, "CONFIG_DEMO=m")


def test_output_elsewhere_and_for_several_kernels(tmp_path: Path) -> None:
    place, out = tmp_path / "m", tmp_path / "elsewhere/deep"
    write_sources({"Kbuild": "obj-m := many.o sub/\n", "many.c": module(), "sub/Kbuild": "obj-m := under.o\n"}, place)
    write_sources({"sub/under.c": module()}, place)
    kernels = [word for tree in trees() for word in ("-k", str(tree.objects))]
    done = kbuildpy("build", place, *kernels, "-o", out, REPRODUCIBLE)
    assert done.returncode == 0, done.error_text
    assert sorted(path.name for path in place.iterdir()) == ["Kbuild", "many.c", "sub"]
    for tree in trees():
        made = {str(path.relative_to(out / tree.release)) for path in (out / tree.release).rglob("*.ko")}
        assert made == {"many.ko", "sub/under.ko"}
        oracle = make(tree, place, [REPRODUCIBLE])
        assert oracle.returncode == 0
        for name in made:
            assert (out / tree.release / name).read_bytes() == (place / name).read_bytes()
        make(tree, place, goal="clean")


def test_a_kbuild_file_that_writes_while_it_is_read(tree: KernelTree, tmp_path: Path) -> None:
    sources = {
        "Kbuild": "obj-m := writes.o\n$(shell echo '#define WRITTEN 5' > $(src)/written.h)\n"
        "$(shell mkdir -p $(obj)/made && echo int made\\; > $(obj)/made/made.c)\nwrites-y := main.o made/made.o\n",
        "main.c": '#include "written.h"\n' + module("int written = WRITTEN;"),
    }
    assert_same(tree, tmp_path / "m", sources)
