# SPDX-License-Identifier: GPL-2.0-only
"""Cross-building for riscv64, and for machines whose loaders are known here in part: the bytes of make, and the output
of its modpost."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from kbuildpy.elf.constants import EM_386, EM_ARM, EM_PPC64, EM_RISCV, EM_S390
from kbuildpy.kernel.tree import KernelTree
from tests.support.builds import assert_equal, build_both, kbuildpy
from tests.support.foreign_trees import FOREIGN, foreign_tree
from tests.support.kernel_trees import usual_tree
from tests.support.modposts import assert_same_modpost_on_tables_and_mistakes
from tests.support.packages import other_compiler
from tests.support.riscv64 import CROSS, RISCV64_LINES, riscv64_tree
from tests.support.samples import SAMPLES

pytestmark = [pytest.mark.parity, pytest.mark.sweep]

MACHINES = dict(zip(FOREIGN, (EM_386, EM_ARM, EM_PPC64, EM_S390), strict=True))


@pytest.fixture(autouse=True)
def nothing_said(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever runs the tests has not chosen an architecture."""
    for name in ("ARCH", "CROSS_COMPILE", "CC", "LLVM", "KDIR", "KERNELRELEASE"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(scope="module", params=[*RISCV64_LINES, *FOREIGN])
def cross(request: pytest.FixtureRequest) -> tuple[KernelTree, tuple[str, ...], int]:
    """A tree, what is said to make, and the number of the machine."""
    if request.param in RISCV64_LINES:
        return riscv64_tree(request.param), CROSS, EM_RISCV
    return *foreign_tree(request.param), MACHINES[request.param]


def test_all_samples_are_the_same_bytes_as_makes(
    cross: tuple[KernelTree, tuple[str, ...], int], tmp_path: Path
) -> None:
    tree, words, machine = cross
    [(oracle, ours)] = build_both(tree, SAMPLES, tmp_path / "samples", steps=(("", words),))
    assert_equal(oracle, ours)
    assert len(ours.names(".ko")) == len([path for path in SAMPLES.iterdir() if path.is_dir()])
    orders = {1: "little", 2: "big"}
    numbers = {int.from_bytes(file[18:20], orders[file[5]]) for file in map(ours.files.get, ours.names(".ko")) if file}  # type: ignore[arg-type]
    assert numbers == {machine}


def test_modpost_does_what_the_trees_does(cross: tuple[KernelTree, tuple[str, ...], int], tmp_path: Path) -> None:
    tree, words, _ = cross
    words = (*words, *other_compiler(tree)) if tree.release.endswith("-riscv64") else words
    assert_same_modpost_on_tables_and_mistakes(tree, tmp_path, words)


@pytest.mark.parametrize("machine", FOREIGN)
def test_a_build_is_checked_and_what_of_the_loader_is_not_known_is_said(machine: str, tmp_path: Path) -> None:
    tree, words = foreign_tree(machine)
    done = kbuildpy("build", SAMPLES / "hello", "-k", tree.objects, "-o", tmp_path, *words)
    assert done.returncode == 0, done.error_text
    assert "  LOADCHK hello.ko" in done.text.splitlines()
    done = kbuildpy("check", tmp_path / tree.release / "hello.ko", "-k", tree.objects, "--format", "json")
    assert done.returncode == 0, done.error_text
    verdict = json.loads(done.text)
    assert verdict["accepted"] and verdict["size"]
    assert any(item.startswith("relocations, patches of the code, and tables") for item in verdict["unchecked"])
    done = kbuildpy("check", tmp_path / tree.release / "hello.ko", "-k", usual_tree().objects)
    assert done.returncode == 1
    number = MACHINES[machine]
    said = (
        f"Invalid architecture in ELF header: {number}" if machine != "s390x" else "Invalid ELF header type: 256 != 1"
    )
    assert said in done.text
