# SPDX-License-Identifier: GPL-2.0-only
"""`kbuildpy dkms` without a kernel tree: what is built is installed, replaced, uninstalled and removed."""

from __future__ import annotations

from pathlib import Path

import pytest

from kbuildpy.dkms.build import PackageBuild
from kbuildpy.dkms.machine import DkmsMachine
from kbuildpy.kernel.tree import KernelTree
from tests.support.dkms_trees import ARCH, CONF, KERNEL, DkmsTrees


@pytest.fixture
def machine(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> DkmsTrees:
    return DkmsTrees(tmp_path, capsys)


def test_installs_uninstalls_and_removes_what_is_built(machine: DkmsTrees) -> None:
    machine.sources("p", "1")
    machine.call("add", "p/1")
    machine.pretend_built("p", "1")
    assert machine.call("status")[1] == f"p/1, {KERNEL}, {ARCH}: built\n"
    status, _, said = machine.call("install", "p/1", "-k", f"{KERNEL}/{ARCH}")
    assert (status, said) == (0, "")
    installed = machine.places.install_tree / KERNEL / "updates/dkms/m.ko"
    assert installed.read_text() == "module p 1"
    assert machine.call("status", "-k", KERNEL)[1] == f"p/1, {KERNEL}, {ARCH}: installed\n"
    assert machine.call("status", "-k", "9.9")[1] == "p/1: added\n"
    again = ("install", "p/1", "-k", KERNEL, "-a", ARCH)
    assert machine.call(*again)[1].endswith("; --force installs it again\n")
    assert machine.call(*again, "--try")[1].endswith("; not tried: --try --force tries and installs it\n")
    installed.write_text("changed")
    assert "(WARNING! Diff between built and installed module!)" in machine.call("status")[1]
    said = machine.call("uninstall", "p/1", "-k", "9.9", "-a", ARCH)[1]
    assert said == f"p/1: not installed for 9.9 ({ARCH}); it is installed for {KERNEL}: -k, or --all\n"
    assert machine.call("uninstall", "p/1", "-k", KERNEL, "-a", ARCH)[0] == 0
    assert not installed.exists()
    assert machine.call("status")[1] == f"p/1, {KERNEL}, {ARCH}: built\n"
    removed = f"p/1: what was built for {KERNEL} ({ARCH}) is removed\n"
    unbuild = ("unbuild", "p/1", "-k", KERNEL, "-a", ARCH)
    assert machine.call(*unbuild)[1] == f"p/1: not installed for {KERNEL} ({ARCH})\n{removed}"
    assert removed not in machine.call(*unbuild)[1]
    assert machine.call("remove", "p/1", "--all")[0] == 0
    assert machine.call("status") == (0, "", "")
    assert [path.name for path in machine.places.dkms_tree.iterdir()] == [".kbuildpy"]


def test_a_file_that_is_replaced_comes_back(machine: DkmsTrees) -> None:
    machine.sources("p", "1")
    machine.call("add", "p/1")
    machine.pretend_built("p", "1")
    there = machine.places.install_tree / KERNEL / "updates/dkms/m.ko"
    there.parent.mkdir(parents=True)
    there.write_text("of somebody else")
    machine.call("install", "p/1", "-k", KERNEL, "-a", ARCH)
    assert there.read_text() == "module p 1"
    assert "(original_module exists)" in machine.call("status")[1]
    machine.call("uninstall", "p/1", "-k", KERNEL, "-a", ARCH)
    assert there.read_text() == "of somebody else"
    assert not (machine.places.dkms_tree / "p/original_module").exists()


def test_a_newer_version_takes_the_place_of_the_older_one(machine: DkmsTrees) -> None:
    for version in ("1", "2"):
        machine.sources("p", version)
        machine.call("add", f"p/{version}")
        machine.pretend_built("p", version)
        assert machine.call("install", f"p/{version}", "-k", KERNEL, "-a", ARCH)[0] == 0
    lines = machine.call("status")[1].splitlines()
    assert lines == [f"p/1, {KERNEL}, {ARCH}: built", f"p/2, {KERNEL}, {ARCH}: installed"]
    assert (machine.places.install_tree / KERNEL / "updates/dkms/m.ko").read_text() == "module p 2"
    assert not (machine.places.dkms_tree / "p/original_module").exists()


def test_a_module_that_the_kernel_has_itself_stays_unless_forced(machine: DkmsTrees) -> None:
    machine.sources("p", "1")
    machine.call("add", "p/1")
    machine.pretend_built("p", "1")
    own = machine.places.install_tree / KERNEL / "kernel/m.ko"
    own.parent.mkdir()
    own.write_text("module of the kernel")
    status, said, error = machine.call("install", "p/1", "-k", KERNEL, "-a", ARCH)
    assert (status, error) == (0, "")
    assert "m: kernel/m.ko is this module; --force installs this one" in said
    assert not (machine.places.install_tree / KERNEL / "updates").exists()
    machine.call("install", "p/1", "-k", KERNEL, "-a", ARCH, "--force")
    assert (machine.places.install_tree / KERNEL / "updates/dkms/m.ko").exists()
    assert own.exists()


@pytest.mark.parametrize(
    ("obsolete", "left_out"), [("1.2.3", True), ("1.2", True), ("1.2.4", False), ("1.2.3-0", True), ("2.0", False)]
)
def test_modules_that_the_kernel_has_by_now_are_left_out(obsolete: str, left_out: bool, machine: DkmsTrees) -> None:
    machine.sources("p", "1", f"OBSOLETE_BY={obsolete}")
    machine.call("add", "p/1")
    machine.pretend_built("p", "1")
    status, _, said = machine.call("install", "p/1", "-k", KERNEL, "-a", ARCH)
    assert (status, "the kernel has the modules itself" in said) == ((77, True) if left_out else (0, False))
    assert machine.places.is_installed("p", "1", KERNEL, ARCH) != left_out
    assert machine.call("autoinstall", "-k", KERNEL, "-a", ARCH)[0] == 0
    assert machine.call("install", "p/1", "-k", KERNEL, "-a", ARCH, "--force")[0] == 0
    assert machine.places.is_installed("p", "1", KERNEL, ARCH)


def test_match_installs_for_a_kernel_what_another_one_has(machine: DkmsTrees) -> None:
    other = "1.2.4-none"
    (machine.places.install_tree / other).mkdir()
    for name in ("p", "q"):
        machine.sources(name, "1", f"DEST_MODULE_NAME={name}")
        machine.call("add", f"{name}/1")
        for kernel in (KERNEL, other):
            machine.pretend_built(name, "1", kernel, module=name)
    machine.call("install", "p/1", "-k", KERNEL, "-a", ARCH)
    assert machine.call("match", "--templatekernel", KERNEL, "-k", other, "-a", ARCH)[0] == 0
    assert machine.places.is_installed("p", "1", other, ARCH)
    assert not machine.places.is_installed("q", "1", other, ARCH)


def test_the_removal_of_a_kernel_takes_its_modules_and_leaves_the_packages(machine: DkmsTrees) -> None:
    for name in ("p", "q"):
        machine.sources(name, "1", f"DEST_MODULE_NAME={name}")
        machine.call("add", f"{name}/1")
    machine.pretend_built("p", "1", module="p")
    machine.call("install", "p/1", "-k", KERNEL, "-a", ARCH)
    assert machine.call("unbuild", "-k", KERNEL, "-a", ARCH)[0] == 0
    assert machine.call("status")[1] == "p/1: added\nq/1: added\n"
    assert not list((machine.places.install_tree / KERNEL).iterdir())


@pytest.mark.parametrize("then", ["install", "uninstall", "remove", "install, roll back, remove"])
def test_a_build_over_an_installed_package_leaves_no_module_behind(
    then: str, machine: DkmsTrees, monkeypatch: pytest.MonkeyPatch
) -> None:
    def build(build: PackageBuild, place: Path, log: Path) -> list[Path]:
        made = [place / f"{module.name}.ko" for module in build.conf.modules]
        for path in made:
            path.write_text(f"{path.name} of {len(made)}")
        return made

    monkeypatch.setattr("kbuildpy.dkms.build._build", build)
    monkeypatch.setattr("kbuildpy.dkms.machine._sign", lambda *_: None)
    monkeypatch.setattr(DkmsMachine, "tree", lambda machine, kernel: KernelTree(Path("/x"), Path("/x"), kernel))
    kernel = ("-k", KERNEL, "-a", ARCH)
    more = "BUILT_MODULE_NAME[1]=n\nDEST_MODULE_LOCATION[1]=/updates\nSTRIP=no"
    source = machine.sources("p", "1", more)
    assert machine.call("install", "p/1", *kernel)[0] == 0
    folder = machine.places.install_tree / KERNEL / "updates/dkms"
    assert sorted(path.name for path in folder.iterdir()) == ["m.ko", "n.ko"]
    (source / "dkms.conf").write_text(CONF.format(name="p", version="1", more="STRIP=no"))
    assert machine.call("build", "p/1", *kernel, "--force")[0] == 0
    assert sorted(path.name for path in folder.iterdir()) == ["m.ko", "n.ko"]
    if then.startswith("install"):
        assert machine.call("install", "p/1", *kernel, "--force")[0] == 0
        assert [path.read_text() for path in folder.iterdir()] == ["m.ko of 1"]
        # (a file of somebody else has the name)
        (folder / "n.ko").write_text("of somebody else")
        if "roll" not in then:
            machine.call("remove", "p/1", *kernel)
            assert [path.read_text() for path in folder.iterdir()] == ["of somebody else"]
            return
        assert machine.call("rollback", *kernel)[0] == 0
        assert sorted(path.name for path in folder.iterdir()) == ["m.ko", "n.ko"]
    machine.call("uninstall" if then == "uninstall" else "remove", "p/1", *kernel)
    assert not folder.exists()
    assert (machine.places.state / "replaced").exists() == (then == "uninstall")
