# SPDX-License-Identifier: GPL-2.0-only
"""`kbuildpy dkms autoinstall` without a kernel tree: which packages, in which order, and side by side."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from kbuildpy.dkms.build import PackageBuild
from kbuildpy.dkms.machine import DkmsMachine
from kbuildpy.errors import KbuildError
from kbuildpy.kernel.tree import KernelTree
from tests.support.dkms_trees import ARCH, KERNEL, DkmsTrees


@pytest.fixture
def machine(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> DkmsTrees:
    return DkmsTrees(tmp_path, capsys)


def test_autoinstall_takes_the_newest_after_what_it_needs_and_goes_on_after_a_failure(machine: DkmsTrees) -> None:
    for name, version, more in (
        ("a", "1", "AUTOINSTALL=yes\nBUILD_DEPENDS[0]=z\nDEST_MODULE_NAME=a"),
        ("a", "1.10", "AUTOINSTALL=yes\nBUILD_DEPENDS[0]=z\nDEST_MODULE_NAME=a"),
        ("a", "1.9", "AUTOINSTALL=yes\nDEST_MODULE_NAME=a"),
        ("b", "1", "DEST_MODULE_NAME=b"),
        ("c", "1", "AUTOINSTALL=yes\nBUILD_DEPENDS[0]=nobody"),
        ("d", "1", "AUTOINSTALL=yes"),
        ("e", "1", "AUTOINSTALL=yes\nBUILD_EXCLUSIVE_ARCH=none"),
        ("z", "1", "AUTOINSTALL=yes\nDEST_MODULE_NAME=z"),
    ):
        machine.sources(name, version, more)
        machine.call("add", f"{name}/{version}")
        if name in ("a", "b", "z"):
            machine.pretend_built(name, version, module=name)
    status, said, complaints = machine.call("autoinstall", "-k", KERNEL, "-a", ARCH)
    assert status == 11
    assert [line for line in said.splitlines() if ": installed" in line] == [
        f"z/1: installed for {KERNEL} ({ARCH})",
        f"a/1.10: installed for {KERNEL} ({ARCH})",
    ]
    assert "e/1: left out: e/1 is not for 1.2.3-none: BUILD_EXCLUSIVE_ARCH=none" in said
    assert "no headers for kernel 1.2.3-none" in complaints
    assert "c/1: not built: it needs nobody (BUILD_DEPENDS)" in complaints


def test_a_package_is_built_again_after_what_it_depends_on_if_it_wants_that(machine: DkmsTrees) -> None:
    for name, version, more in (
        ("a", "1", "BUILD_DEPENDS[0]=z\nBUILD_DEPENDS_REBUILD=yes"),
        ("b", "1", "BUILD_DEPENDS[0]=z"),
        ("z", "1", ""),
        ("z", "2", ""),
    ):
        machine.sources(name, version, f"AUTOINSTALL=yes\nDEST_MODULE_NAME={name}\n{more}")
        machine.call("add", f"{name}/{version}")
        machine.pretend_built(name, version, module=name)
        if version == "1":
            machine.call("install", f"{name}/1", "-k", KERNEL, "-a", ARCH)
    status, said, complaints = machine.call("autoinstall", "-k", KERNEL, "-a", ARCH)
    assert said.index("z/2: installed for") < said.index("a/1: is installed for")
    assert "b/1: installed already" in said
    # (there is no kernel tree to build it with)
    assert (status, complaints.count("no headers for kernel")) == (11, 1)
    assert machine.places.is_installed("a", "1", KERNEL, ARCH)
    assert machine.call("autoinstall", "-k", KERNEL, "-a", ARCH)[0] == 0
    machine.places.failed("a", "1", KERNEL, ARCH).mkdir(parents=True)
    assert machine.call("autoinstall", "-k", KERNEL, "-a", ARCH)[0] == 11


def test_packages_are_built_side_by_side_and_after_what_they_need(
    machine: DkmsTrees, monkeypatch: pytest.MonkeyPatch
) -> None:
    at_once = threading.Barrier(2, timeout=20)
    events: list[str] = []

    def build(prepared: PackageBuild) -> None:
        name = prepared.conf.name
        events.append(f"begins {name}")
        if name in ("a", "b"):
            at_once.wait()
        if name == "bad":
            raise KbuildError("bad: it does not compile")
        machine.pretend_built(name, "1", module=name)
        events.append(f"ends {name}, of {prepared.jobs}")

    def prepare(machine: DkmsMachine, name: str, version: str, kernel: str, arch: str) -> PackageBuild:
        conf = machine.named_conf(name, version, kernel, arch)
        tree = KernelTree(Path("/nonexistent"), Path("/nonexistent"), KERNEL)
        return PackageBuild(machine.places, conf, tree, kernel, arch, machine.jobs, None)

    monkeypatch.setattr("kbuildpy.dkms.install_all.build_package", build)
    monkeypatch.setattr("kbuildpy.dkms.install_all.prepare_build", prepare)
    for name, needs in (("a", ""), ("b", ""), ("c", "a b"), ("d", "bad"), ("bad", "")):
        machine.sources(name, "1", f"AUTOINSTALL=yes\nDEST_MODULE_NAME={name}\nBUILD_DEPENDS[0]='{needs}'")
        machine.call("add", f"{name}/1")
    status, _, complaints = machine.call("autoinstall", "-k", KERNEL, "-a", ARCH, "-j", "6")
    assert status == 11
    assert "bad: it does not compile" in complaints
    assert "d/1: not built: it needs bad" in complaints
    # (three at a time, each with a third of the jobs; the one that waited has them all)
    assert events[-2:] == ["begins c", "ends c, of 6"]
    assert sorted(events[:-2]) == ["begins a", "begins b", "begins bad", "ends a, of 2", "ends b, of 2"]
    assert [machine.places.is_installed(name, "1", KERNEL, ARCH) for name in ("a", "b", "c", "d")] == [True] * 3 + [
        False
    ]


def test_packages_that_need_each_other_are_told(machine: DkmsTrees) -> None:
    for name, other in (("a", "b"), ("b", "a")):
        machine.sources(name, "1", f"AUTOINSTALL=yes\nBUILD_DEPENDS[0]={other}")
        machine.call("add", f"{name}/1")
    status, _, complaints = machine.call("autoinstall", "-k", KERNEL, "-a", ARCH)
    assert (status, complaints.count("(BUILD_DEPENDS)")) == (11, 2)
