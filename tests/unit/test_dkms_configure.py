# SPDX-License-Identifier: GPL-2.0-only
"""`kbuildpy dkms configure`, which packages NAME-dkms call when they are configured, without a kernel tree."""

from __future__ import annotations

from pathlib import Path

import pytest

from kbuildpy.dkms.machine import DkmsMachine
from kbuildpy.dkms.which_kernels import kernels_to_configure
from tests.support.dkms_trees import ARCH, KERNEL, DkmsTrees


@pytest.fixture
def machine(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> DkmsTrees:
    return DkmsTrees(tmp_path, capsys)


def test_a_package_is_configured_for_the_kernels_that_can_be_built_for(machine: DkmsTrees, tmp_path: Path) -> None:
    found = DkmsMachine(machine.places, "debian", {}, 1, print)
    trees = tmp_path / "trees"
    for name in ("6.1.0-9", "6.1.0-10", "6.1.0-8"):
        (machine.places.install_tree / name).mkdir()
        (trees / name / "build/include").mkdir(parents=True)
    (machine.places.install_tree / "6.12").mkdir()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("kbuildpy.dkms.machine._MODULES", trees)
        assert kernels_to_configure(found, "6.1.0-8") == ["6.1.0-8", "6.1.0-10"]
        assert kernels_to_configure(found, "6.1.0-10") == ["6.1.0-10"]
        assert kernels_to_configure(found, "6.12") == ["6.1.0-10"]
        # a chroot, whose kernel is another system's
        assert kernels_to_configure(found, "7.0") == ["6.1.0-8", "6.1.0-9", "6.1.0-10"]
        every = DkmsMachine(machine.places, "debian", {"autoinstall_all_kernels": "yes"}, 1, print)
        assert kernels_to_configure(every, "6.1.0-8") == ["6.1.0-8", "6.1.0-9", "6.1.0-10"]


def test_configuring_again_begins_anew_and_tells_what_fails(machine: DkmsTrees) -> None:
    machine.sources("p", "1")
    status, said, _ = machine.call("configure", "-m", "p", "-v", "1")
    assert (status, said) == (0, "p/1: added\np/1: no kernel is installed with its headers: nothing to build for\n")
    machine.pretend_built("p", "1")
    machine.call("configure", "-m", "p", "-v", "1")
    assert machine.call("status")[1] == "p/1: added\n"


def test_a_package_is_configured_from_an_archive_if_there_is_one(machine: DkmsTrees, tmp_path: Path) -> None:
    machine.sources("p", "1")
    machine.call("add", "p/1")
    machine.pretend_built("p", "1")
    archive = tmp_path / "p-1.dkms.tar.gz"
    assert machine.call("mktarball", "p/1", "--all", "--archive", str(archive))[0] == 0
    machine.call("remove", "p/1", "--all")
    for path, line in ((archive, f"p/1, {KERNEL}, {ARCH}: built\n"), (tmp_path / "none", "p/1: added\n")):
        assert machine.call("configure", "-m", "p", "-v", "1", "--archive", str(path))[0] == 0
        assert machine.call("status")[1] == line
    assert machine.call("add", str(archive))[0] == 8
    machine.call("remove", "p/1", "--all")
    assert machine.call("add", str(archive))[0] == 0
    assert machine.call("status")[1] == f"p/1, {KERNEL}, {ARCH}: built\n"
