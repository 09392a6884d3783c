# SPDX-License-Identifier: GPL-2.0-only
"""Cross-building for arm64: the same bytes as make's, however the architecture is said, or left to the tree."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from kbuildpy.kernel.completeness import missing_parts
from kbuildpy.kernel.tree import KernelTree
from kbuildpy.modpost.layout_probe import parse, probe_source
from tests.support.arm64 import CROSS, arm64_tree
from tests.support.builds import REPRODUCIBLE, assert_equal, build_both, collect, kbuildpy, make
from tests.support.kernel_trees import swept
from tests.support.modposts import assert_same_modpost, build, usual_options
from tests.support.samples import SAMPLES
from tests.support.scons_project import HEAD, SConsProject
from tests.support.top_makefile import evaluate

SAID = dict(word.split("=", 1) for word in CROSS)

pytestmark = pytest.mark.parity


@pytest.fixture(autouse=True)
def nothing_said(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever runs the tests has not chosen an architecture."""
    for name in ("ARCH", "CROSS_COMPILE", "CC", "LLVM", "KDIR", "KERNELRELEASE"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(scope="module")
def tree() -> KernelTree:
    return arm64_tree()


@pytest.mark.parametrize("line", ["6.12-arm64", *swept("arm64")])
def test_all_samples_are_the_same_bytes_as_makes(line: str, tmp_path: Path) -> None:
    tree = arm64_tree(line)
    [(oracle, ours)] = build_both(tree, SAMPLES, tmp_path / "samples", steps=(("", CROSS),))
    assert_equal(oracle, ours)
    assert len(ours.names(".ko")) == len([path for path in SAMPLES.iterdir() if path.is_dir()])
    # e_machine of the ELF header: EM_AARCH64.
    assert {ours.files[name][18:20] for name in ours.names(".ko")} == {b"\xb7\x00"}


@pytest.fixture(scope="module")
def made(tree: KernelTree, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, bytes]]:
    """Where a module of C and assembly is, with nothing built; and what make makes of it."""
    place = tmp_path_factory.mktemp("said") / "composite"
    shutil.copytree(SAMPLES / "composite", place)
    done = make(tree, place, [*CROSS, REPRODUCIBLE])
    assert done.returncode == 0, done.error_text
    files = collect(place)
    shutil.rmtree(place)
    shutil.copytree(SAMPLES / "composite", place)
    return place, files


@pytest.mark.parametrize("where", ["environment", *swept("command line", "the tree")])
def test_the_architecture_may_be_said_to_the_command_in_any_way_or_not_at_all(
    where: str, tree: KernelTree, made: tuple[Path, dict[str, bytes]], tmp_path: Path
) -> None:
    place, files = made
    words = CROSS if where == "command line" else ()
    env = SAID if where == "environment" else {}
    done = kbuildpy("build", place, "-k", tree.objects, "-o", tmp_path, *words, REPRODUCIBLE, env=env)
    assert done.returncode == 0, done.error_text
    assert collect(tmp_path / tree.release) == files


@pytest.mark.parametrize("where", ["command line", "the tree", *swept("environment")])
def test_the_architecture_may_be_said_to_scons_in_any_way_or_not_at_all(
    where: str, tree: KernelTree, made: tuple[Path, dict[str, bytes]]
) -> None:
    place, files = made
    project = SConsProject(place.parent, tree.objects, {"SConstruct": f"{HEAD}env.Kbuild('composite')\n"})
    shutil.rmtree(project.place / "build", ignore_errors=True)
    project.environ |= SAID if where == "environment" else {}
    project.build(*(CROSS if where == "command line" else ()))
    assert collect(project.place / "build" / tree.release / "composite") == files


def test_a_missing_cross_compiler_is_named_with_its_package(tree: KernelTree, tmp_path: Path) -> None:
    shutil.copytree(SAMPLES / "hello", tmp_path / "hello")
    words = ["ARCH=arm64", "CC=sparc64-linux-gnu-gcc-12"]
    assert make(tree, tmp_path / "hello", words).returncode != 0
    done = kbuildpy("build", SAMPLES / "hello", "-k", tree.objects, "-o", tmp_path / "out", *words)
    assert done.returncode == 1
    assert "sparc64-linux-gnu-gcc-12: not found" in done.error_text
    assert (
        "apt-get install gcc-12-sparc64-linux-gnu, or choose another one with CC= or CROSS_COMPILE=" in done.error_text
    )


def test_another_compiler_than_the_kernels_is_worth_kbuilds_warning(tree: KernelTree, tmp_path: Path) -> None:
    # Debian's trees silence it.
    words = [*CROSS, "DEBIAN_KERNEL_NO_CC_VERSION_CHECK=", "CONFIG_CC_VERSION_TEXT=gcc (of somebody else)"]
    shutil.copytree(SAMPLES / "hello", tmp_path / "hello")
    said = make(tree, tmp_path / "hello", words).error_text.splitlines()
    assert said[0] == "warning: the compiler differs from the one used to build the kernel"
    for _ in "once", "again":
        done = kbuildpy("build", SAMPLES / "hello", "-k", tree.objects, "-o", tmp_path / "out", *words)
        assert done.error_text.splitlines()[:3] == said[:3]
    quiet = kbuildpy("build", SAMPLES / "hello", "-k", tree.objects, "-o", tmp_path / "quiet", *CROSS)
    assert "compiler differs" not in quiet.error_text


def test_an_arch_that_the_tree_is_not_for_is_a_wrong_call(tree: KernelTree, tmp_path: Path) -> None:
    done = kbuildpy("build", SAMPLES / "hello", "-k", tree.objects, "-o", tmp_path, "ARCH=riscv")
    assert done.returncode == 2
    assert "the kernel tree is for arm64, not for ARCH=riscv" in done.error_text


def test_the_list_of_kernels_says_what_make_does(tree: KernelTree, tmp_path: Path) -> None:
    listed = kbuildpy("kernels", "--format", "json", env={"KDIR": str(tree.objects)})
    facts = [json.loads(line) for line in listed.text.splitlines()]
    [arm64] = [fact for fact in facts if fact["path"] == str(tree.objects)]
    architecture, compiler, release = evaluate(tree, tmp_path, "ARCH", "CC", "KERNELRELEASE", variables=CROSS)
    assert (arm64["architecture"], arm64["compiler"], arm64["release"]) == (architecture, compiler, release)
    assert arm64["compiler_installed"]
    assert arm64["complete"], missing_parts(tree)


TABLES = """\
#include <linux/module.h>
#include <linux/of.h>
#include <linux/pci.h>
#include <linux/platform_device.h>
#include <linux/usb.h>
static const struct pci_device_id pci[] = { { PCI_DEVICE(0x8086, 0x1234) }, { PCI_DEVICE_CLASS(0x20000, ~0) }, { } };
MODULE_DEVICE_TABLE(pci, pci);
static const struct usb_device_id usb[] = { { USB_DEVICE_VER(0x1234, 0x5678, 0x100, 0x299) }, { } };
MODULE_DEVICE_TABLE(usb, usb);
static const struct of_device_id of[] = { { .compatible = "none,such" }, { .type = "a b" }, { } };
MODULE_DEVICE_TABLE(of, of);
static const struct platform_device_id platform[] = { { .name = "none" }, { } };
MODULE_DEVICE_TABLE(platform, platform);
int tables_exported(void);
int tables_exported(void) { return 0; }
EXPORT_SYMBOL_GPL(tables_exported);
MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("device tables");
MODULE_VERSION("1");
"""
WRONG = """\
#include <linux/module.h>
extern int nobody_has_this(void), tables_exported(void);
static int __init wrong_init(void) { return nobody_has_this() + tables_exported(); }
module_init(wrong_init);
"""


def test_modpost_does_what_the_trees_does_with_arm64_objects(tree: KernelTree, tmp_path: Path) -> None:
    probe = {"probe.c": probe_source(tree), "Kbuild": "obj-m := probe.o\n"}
    answers = build(tree, tmp_path / "layouts", probe, "probe.s", *CROSS).directory / "probe.s"
    files = {"tables.c": TABLES, "wrong.c": WRONG, "Kbuild": "obj-m := tables.o wrong.o\n"}
    built = build(tree, tmp_path / "modules", files, "modules", *CROSS)
    layouts = parse(answers.read_bytes())
    outcome = assert_same_modpost(built, ["tables"], usual_options(built), layouts)
    assert "MODULE_ALIAS" in next(iter(outcome.mod_c.values()))
    outcome = assert_same_modpost(built, ["tables", "wrong"], usual_options(built), layouts)
    assert outcome.failed and "nobody_has_this" in outcome.messages
