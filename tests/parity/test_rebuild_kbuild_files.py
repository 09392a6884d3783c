# SPDX-License-Identifier: GPL-2.0-only
"""What a Kbuild file says anew is built anew: make reads it each time, kbuildpy only when the answer may differ."""

from __future__ import annotations

import os
import shutil
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from kbuildpy.kernel.tree import KernelTree
from kbuildpy.run import run
from tests.support.builds import kbuildpy, make
from tests.support.kernel_trees import swept, usual_tree

pytestmark = pytest.mark.parity

SOURCE = '#include <linux/module.h>\nMODULE_INFO(ver, VER);\nMODULE_LICENSE("GPL");\n'
KBUILD = "obj-m := hello.o\n"


def module_in(directory: Path, kbuild: str) -> Path:
    directory.mkdir(parents=True)
    (directory / "Kbuild").write_text(KBUILD + kbuild)
    (directory / "hello.c").write_text(SOURCE)
    return directory


def version_of(tree: KernelTree, directory: Path, *variables: str, env: dict[str, str] | None = None) -> str:
    """What the module that kbuildpy builds says; make, in a copy, says the same."""
    kbuildpy("build", directory, "-k", tree.objects, *variables, env=env)
    [module] = (directory / "build").rglob("hello.ko")
    ours = run(["modinfo", "-F", "ver", module]).text.strip()
    if not directory.is_relative_to(tree.source):
        copy = directory.with_name(f"{directory.name}-make")
        shutil.rmtree(copy, ignore_errors=True)
        shutil.copytree(directory, copy, ignore=lambda *_: ["build"])
        words = [word.replace(str(directory), str(copy)) for word in variables]
        with pytest.MonkeyPatch.context() as patched:
            for name, value in (env or {}).items():
                patched.setenv(name, value.replace(str(directory), str(copy)))
            make(tree, copy, words)
        assert run(["modinfo", "-F", "ver", copy / "hello.ko"]).text.strip() == ours
    return ours


def test_a_kbuild_file_below_the_kernel_tree_counts(tmp_path: Path) -> None:
    usual = usual_tree()
    source, objects = tmp_path / "source", tmp_path / "objects"
    for place, of in ((source, usual.source), (objects, usual.objects)):
        place.mkdir()
        for path in of.iterdir():
            if path.name != "Makefile" or place == source:
                (place / path.name).symlink_to(path)
    (objects / "Makefile").write_text(f"include {source}/Makefile\n")
    tree = KernelTree(objects, source, usual.release)
    directory = module_in(source / "drivers_of_mine/hello", 'ccflags-y := -DVER=\\"one\\"\n')
    assert version_of(tree, directory) == "one"
    (directory / "Kbuild").write_text(KBUILD + 'ccflags-y := -DVER=\\"three\\"\n')
    assert version_of(tree, directory) == "three"


@pytest.mark.parametrize("where", ["environment", *swept("command line", "KCFLAGS")])
def test_a_variable_that_asks_the_shell_is_asked_again(where: str, tmp_path: Path) -> None:
    directory = module_in(tmp_path / "m", "" if where == "KCFLAGS" else 'ccflags-y := -DVER=\\"$(MYVER)\\"\n')
    ask = f"$(shell cat {directory}/version)"
    words, env = [], None
    if where == "command line":
        words = [f"MYVER={ask}"]
    elif where == "environment":
        env = {**os.environ, "MYVER": ask}
    else:
        words = [f'KCFLAGS=-DVER=\\"{ask}\\"']
    for version in ("one", "two"):
        (directory / "version").write_text(version)
        assert version_of(usual_tree(), directory, *words, env=env) == version


@pytest.mark.parametrize(
    "include",
    ["include $(src)/conf/*.mk", "$(foreach f,b.mk,$(eval -include $(src)/conf/$(f)))", "-include $(src)/conf/b.mk"],
    ids=["a pattern", "an include in eval", "an include of what need not be there"],
)
def test_a_makefile_that_comes_to_be_included_counts(include: str, tmp_path: Path) -> None:
    directory = module_in(tmp_path / "m", f'v := one\n{include}\nccflags-y := -DVER=\\"$(v)\\"\n')
    (directory / "conf").mkdir()
    (directory / "conf/a.mk").write_text("v := one\n")
    assert version_of(usual_tree(), directory) == "one"
    (directory / "conf/b.mk").write_text("v := two\n")
    assert version_of(usual_tree(), directory) == "two"


def test_a_kbuild_file_that_is_saved_while_make_reads_it_counts(tmp_path: Path) -> None:
    directory = module_in(tmp_path / "m", 'ccflags-y := -DVER=\\"one\\"\n')
    programs, has_read, is_saved = tmp_path / "bin", tmp_path / "has-read", tmp_path / "is-saved"
    programs.mkdir()
    (programs / "make").write_text(
        f"""#!/bin/sh
{shutil.which("make")} "$@" || exit
case "$*" in *directory.mk*) touch {has_read}; until [ -e {is_saved} ]; do sleep 0.01; done ;; esac
"""
    )
    (programs / "make").chmod(0o755)
    env = {**os.environ, "PATH": f"{programs}:{os.environ['PATH']}"}

    def save() -> None:
        while not has_read.exists():
            time.sleep(0.01)
        (directory / "Kbuild").write_text(KBUILD + 'ccflags-y := -DVER=\\"two\\"\n')
        is_saved.touch()

    with ThreadPoolExecutor(1) as pool:
        saved = pool.submit(save)
        kbuildpy("build", directory, "-k", usual_tree().objects, env=env)
        saved.result()
    assert version_of(usual_tree(), directory) == "two"


def test_a_linker_in_the_modules_directory_links_it(tmp_path: Path) -> None:
    directory = module_in(tmp_path / "m", 'ccflags-y := -DVER=\\"one\\"\n')
    (directory / "hello.tools").mkdir()
    (directory / "hello.tools/ld").symlink_to(str(shutil.which("ld")))
    assert version_of(usual_tree(), directory, f"LD={directory}/hello.tools/ld") == "one"


def test_a_device_table_is_read_under_flags_with_quoted_characters(tmp_path: Path) -> None:
    directory = module_in(tmp_path / "m", "")
    with (directory / "hello.c").open("a") as file:
        file.write(
            "#include <linux/pci.h>\nstatic const struct pci_device_id ids[] = { { PCI_DEVICE(1, 2) }, { } };\n"
            "MODULE_DEVICE_TABLE(pci, ids);\n"
        )
    assert version_of(usual_tree(), directory, """KCFLAGS=-DVER='"1.0~rc1[*?]"'""") == "1.0~rc1[*?]"
