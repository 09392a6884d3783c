# SPDX-License-Identifier: GPL-2.0-only
"""`modprobe` in a script loads what kmod's modprobe would, in the same order."""

from __future__ import annotations

import random
import shutil
from pathlib import Path

import pytest

from kbuildpy.errors import CommandError
from kbuildpy.kernel.find import installed_trees
from kbuildpy.kernel.module_files import module_name
from kbuildpy.kernel.modules_directory import modules_directory
from kbuildpy.kernel.own_modules import OwnModules
from kbuildpy.loader.kernel import LoaderKernel
from kbuildpy.loader.kernels.from_tree import kernel_from_tree
from kbuildpy.loader.lifecycle.script import run_script
from kbuildpy.loader.loaded import Loaded, Modules
from kbuildpy.loader.verdict import Verdict
from kbuildpy.run import run

pytestmark = [
    pytest.mark.parity,
    pytest.mark.skipif(shutil.which("modprobe") is None, reason="kmod is not installed"),
]

TREES = [tree for tree in installed_trees().trees if modules_directory(tree.release)]


def take(contents: bytes, kernel: LoaderKernel, modules: Modules, args: str, file: str) -> tuple[Verdict, Modules]:
    """A loader that takes everything: the order is all that matters."""
    return Verdict(file, kernel.release, file, True), Modules((Loaded(file), *modules.loaded))


@pytest.fixture(scope="module", params=TREES, ids=lambda tree: tree.release)
def kernel(request: pytest.FixtureRequest) -> LoaderKernel:
    """A kernel with its own modules."""
    return kernel_from_tree(request.param)


@pytest.fixture
def directory(kernel: LoaderKernel) -> Path:
    """Its lib/modules/RELEASE."""
    found = modules_directory(kernel.release)
    assert found is not None
    return found


def ours(name: str, kernel: LoaderKernel, tmp_path: Path) -> list[str] | None:
    """What is loaded for `name`, in order; None if it is refused."""
    (step,) = run_script(f"modprobe {name}", kernel, tmp_path, load=take)
    return [module.name for module in reversed(step.modules.loaded)] if step.done else None


def of_kmod(name: str, kernel: LoaderKernel, tmp_path: Path) -> list[str] | None:
    """The same of kmod, which tells some twice and loads them once; without what this machine's modprobe.d adds."""
    try:
        shown = run(["modprobe", "-C", tmp_path, "-S", kernel.release, "--show-depends", name]).stdout.decode()
    except CommandError:
        return None
    words = [line.split() for line in shown.splitlines()]
    return list(dict.fromkeys(module_name(path) for verb, path, *_ in words if verb == "insmod"))


def test_loads_modules_in_the_order_of_kmod(kernel: LoaderKernel, directory: Path, tmp_path: Path) -> None:
    compared = 0
    for name in random.Random(1).sample(sorted(OwnModules(directory).files()), 60):
        found = ours(name, kernel, tmp_path)
        assert found == of_kmod(name, kernel, tmp_path)
        compared += found is not None and len(found) > 1
    assert compared > 10


def test_loads_the_soft_dependencies_that_kmod_loads(kernel: LoaderKernel, directory: Path, tmp_path: Path) -> None:
    lines = (directory / "modules.softdep").read_text().splitlines()
    names = dict.fromkeys(line.split()[1] for line in lines if line.startswith("softdep "))
    beyond = 0
    for name in names:
        found = ours(name, kernel, tmp_path)
        assert found == of_kmod(name, kernel, tmp_path), name
        beyond += found is not None and set(found) != {name, *(OwnModules(directory).needs(name) or ())}
    assert beyond > 10


def test_takes_names_for_the_modules_that_kmod_takes_them_for(
    kernel: LoaderKernel, directory: Path, tmp_path: Path
) -> None:
    lines = (directory / "modules.alias").read_text().splitlines()
    patterns = [line.split()[1] for line in lines if line.startswith("alias ")]
    # (a device has something in each place where a pattern has a star)
    names = [pattern.replace("*", "0") for pattern in random.Random(2).sample(patterns, 60)]
    names += [module_name(path) for path in (directory / "modules.builtin").read_text().split()[:20]]
    names += ["crypto-crc32c", "net-pf-10", "net-pf-1", "unix", "nosuch", "dummy.ko", "Dummy", "fs-ext?"]
    answers = [ours(name, kernel, tmp_path) for name in names]
    assert answers == [of_kmod(name, kernel, tmp_path) for name in names]
    assert None in answers and [] in answers and any(found is not None and len(found) > 1 for found in answers)
