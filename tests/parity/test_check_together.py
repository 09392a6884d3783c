# SPDX-License-Identifier: GPL-2.0-only
"""Modules that are checked together: what one of them lacks because another is refused, and each by its own kernel."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest

from kbuildpy.execute import Completed
from kbuildpy.kernel.architecture import architecture_of, is_native
from kbuildpy.kernel.find import installed_trees
from kbuildpy.kernel.tree import KernelTree
from kbuildpy.run import run
from tests.support.builds import kbuildpy

pytestmark = pytest.mark.parity

SOURCES = {
    "Kbuild": "obj-m := maker.o user.o\n",
    "maker.c": (
        "#include <linux/module.h>\nint made(void);\nint made(void) { return 0; }\nEXPORT_SYMBOL_GPL(made);\n"
        'MODULE_LICENSE("GPL");\n'
    ),
    "user.c": (
        "#include <linux/module.h>\nint made(void);\nstatic int __init user_init(void) { return made(); }\n"
        'module_init(user_init);\nMODULE_LICENSE("GPL");\n'
    ),
}
# (modpost lets no two modules of one directory export the same)
TWIN = {
    "Kbuild": "obj-m := twin.o\n",
    "twin.c": SOURCES["maker.c"] + "int more(void);\nint more(void) { return 1; }\nEXPORT_SYMBOL_GPL(more);\n",
}
BOTH = {
    "Kbuild": "obj-m := both.o\n",
    "both.c": (
        "#include <linux/module.h>\nint made(void);\nint more(void);\n"
        "static int __init both_init(void) { return made() + more() - 1; }\n"
        'module_init(both_init);\nMODULE_LICENSE("GPL");\nMODULE_INFO(depends, "maker,twin");\n'
    ),
}
TREES = [tree for tree in installed_trees().trees if is_native(architecture_of(tree))]


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory of both modules, for each kernel tree of this machine."""
    place = tmp_path_factory.mktemp("together")
    for name, text in SOURCES.items():
        (place / name).write_text(text)
    kernels = [word for tree in TREES for word in ("-k", str(tree.objects))]
    done = kbuildpy("build", place, *kernels)
    assert done.returncode == 0, done.error_text
    return place / "build"


@pytest.fixture(scope="module")
def rivals(built: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Two modules that export one symbol, and one that uses what each of them has, for the first kernel tree."""
    tree = TREES[0]
    place = tmp_path_factory.mktemp("rivals")
    for name, sources in {"twin": TWIN, "both": BOTH}.items():
        (place / name).mkdir()
        for file, text in sources.items():
            (place / name / file).write_text(text)
        extra = [f"KBUILD_EXTRA_SYMBOLS={place / 'twin/build' / tree.release / 'Module.symvers'}"] * (name == "both")
        done = kbuildpy("build", place / name, "-k", tree.objects, "CHECK=0", *extra)
        assert done.returncode == 0, done.error_text
    built_there = [place / name / "build" / tree.release / f"{name}.ko" for name in ("twin", "both")]
    return [built / tree.release / "maker.ko", *built_there]


@pytest.fixture(params=TREES, ids=lambda tree: tree.release)
def tree(request: pytest.FixtureRequest) -> KernelTree:
    found: KernelTree = request.param
    return found


def verdicts(done: Completed) -> list[dict[str, Any]]:
    return [json.loads(line) for line in done.text.splitlines()]


def check(*words: str | Path) -> Completed:
    return kbuildpy("check", *words, "--format", "json")


def test_a_module_whose_provider_is_refused_is_refused_as_well(built: Path, tree: KernelTree) -> None:
    files = [built / tree.release / name for name in ("user.ko", "maker.ko")]
    done = check(*files, "-k", tree.objects, "--blacklist", "maker")
    user, maker = verdicts(done)
    assert done.returncode == 1
    assert (maker["errno"], user["errno"], user["log"]) == ("EPERM", "ENOENT", "user: Unknown symbol made (err -2)")
    assert user["reason"] == "made is not exported: maker, which the module depends on, is refused itself"


def test_a_provider_that_is_not_given_is_required_all_the_same(built: Path, tree: KernelTree) -> None:
    (user,) = verdicts(check(built / tree.release / "user.ko", "-k", tree.objects))
    assert user["accepted"] and user["requires"] == ["maker"]
    assert [what for what in user["unchecked"] if "maker" in what] == [
        "symbols of maker: it was not given, and is none of the kernel's own modules"
    ]


def test_the_license_is_the_reason_where_a_given_module_exports_for_gpl_only(
    built: Path, tree: KernelTree, tmp_path: Path
) -> None:
    contents = (built / tree.release / "user.ko").read_bytes()
    (tmp_path / "user.ko").write_bytes(contents.replace(b"license=GPL\0", b"license=XYZ\0"))
    done = check(tmp_path / "user.ko", built / tree.release / "maker.ko", "-k", tree.objects)
    user = verdicts(done)[0]
    assert user["errno"] == "ENOENT"
    assert user["reason"].startswith("made is for GPL-compatible modules, and this one is not")


def test_of_two_modules_that_export_one_symbol_each_is_accepted_and_names_the_other(
    rivals: list[Path], tmp_path: Path
) -> None:
    maker, twin, _ = rivals
    done = check(maker, twin, "-k", TREES[0].objects)
    assert done.returncode == 0
    # (the kernel's word on the second one: tests/vm/referee, "duplicates/of another module")
    script = tmp_path / "loads.txt"
    for first, second, verdict in zip((maker, twin), (twin, maker), verdicts(done), strict=True):
        script.write_text(f"insmod {first}\ninsmod {second}\n")
        _, refused = verdicts(check("--script", script, "-k", TREES[0].objects))
        assert refused["errno"] == "ENOEXEC"
        assert verdict["accepted"]
        assert verdict["excludes"] == [{"file": str(second), "symbol": "made", "log": refused["log"][-1]}]
    said = kbuildpy("check", maker, twin, "-k", TREES[0].objects).text
    assert f"{twin}, which is refused with ENOEXEC then: twin: exports duplicate symbol made (owned by maker)" in said
    assert f"{maker}, which is refused with ENOEXEC then: maker: exports duplicate symbol made (owned by twin)" in said


def test_a_module_that_needs_two_that_exclude_each_other_is_refused(rivals: list[Path]) -> None:
    done = check(*rivals, "-k", TREES[0].objects)
    both = verdicts(done)[2]
    assert done.returncode == 1
    assert (both["errno"], both["log"]) == ("ENOENT", "both: Unknown symbol more (err -2)")
    assert both["reason"] == "more is not exported: twin, which the module depends on, is refused itself"


def test_own_asks_the_kernel_that_each_module_was_built_for(built: Path) -> None:
    done = check(built, "-k", "own")
    assert done.returncode == 0, done.text
    assert {(Path(item["file"]).parent.name, item["kernel"]) for item in verdicts(done)} == {
        (tree.release, tree.release) for tree in TREES
    }


def test_own_goes_on_after_a_module_that_does_not_tell(built: Path, tmp_path: Path) -> None:
    silent, packed = tmp_path / "silent.ko", tmp_path / "packed.ko.xz"
    silent.write_bytes(b"\x7fELF")
    packed.write_bytes(b"no xz")
    module = built / TREES[0].release / "maker.ko"
    done = check(silent, packed, module, "-k", "own")
    assert done.returncode == 1
    assert [item["accepted"] for item in verdicts(done)] == [False, False, True]
    assert f"kbuildpy: {silent}: the module does not name the kernel that it was built for" in done.error_text
    assert f"kbuildpy: {packed}: " in done.error_text


@pytest.mark.parametrize("words", [("-k", "own", "-k", "running"), ("-k", "own", "--script", "loads.txt")])
def test_own_goes_with_nothing_else(words: tuple[str, ...], built: Path) -> None:
    files = () if "--script" in words else (built,)
    done = check(*files, *words)
    assert done.returncode == 2
    assert "-k own" in done.error_text


def test_pipes_are_no_modules(tmp_path: Path) -> None:
    """(a check of one would wait for somebody who writes)"""
    os.mkfifo(tmp_path / "pipe.ko")
    for words, said in ((tmp_path / "pipe.ko", "neither a file nor a directory"), (tmp_path, "no modules below")):
        done = run([sys.executable, "-m", "kbuildpy", "check", words], check=False, timeout=60)
        assert done.returncode == 2
        assert said in done.error_text


@pytest.mark.parametrize(
    "words",
    [("",), ("m.ko", "-k", "m.ko"), ("m.ko", "--cert", "nothing.pem")],
    ids=["an empty name", "no image", "no certificate"],
)
def test_a_name_that_is_none_is_a_wrong_call(words: tuple[str, ...], tmp_path: Path) -> None:
    (tmp_path / "m.ko").write_bytes(b"\x7fELF")
    done = kbuildpy("check", *words, cwd=tmp_path)
    assert done.returncode == 2
    assert "Traceback" not in done.error_text
