# SPDX-License-Identifier: GPL-2.0-only
"""`kbuildpy dkms` without a kernel tree: what is added, what is refused, and with which exit status."""

from __future__ import annotations

import errno
import fcntl
import json
import shutil
import threading
from collections.abc import Sequence
from pathlib import Path

import pytest

from kbuildpy.cli import main
from kbuildpy.dkms.build import PackageBuild
from kbuildpy.dkms.conf import DkmsConf
from kbuildpy.dkms.machine import DkmsMachine, needed_packages
from kbuildpy.dkms.places import DkmsPlaces, locked
from kbuildpy.dkms.which_kernels import kernels_to_configure
from kbuildpy.errors import KbuildError
from kbuildpy.kernel.tree import KernelTree

KERNEL, ARCH = "1.2.3-none", "x86_64"
CONF = "PACKAGE_NAME={name}\nPACKAGE_VERSION={version}\nBUILT_MODULE_NAME=m\nDEST_MODULE_LOCATION=/updates\n{more}\n"


class Machine:
    """The three trees in a folder, and calls of `kbuildpy dkms` over them."""

    def __init__(self, place: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.places = DkmsPlaces(place / "dkms", place / "src", place / "modules")
        self._capsys = capsys
        for path in (self.places.dkms_tree, self.places.source_tree, self.places.install_tree / KERNEL):
            path.mkdir(parents=True)

    def sources(self, name: str, version: str, more: str = "") -> Path:
        """The sources of a package in SOURCE_TREE."""
        directory = self.places.source_tree / f"{name}-{version}"
        directory.mkdir()
        (directory / "dkms.conf").write_text(CONF.format(name=name, version=version, more=more))
        (directory / "m.c").touch()
        return directory

    def call(self, *words: str) -> tuple[int, str, str]:
        """The exit status and the output of a call."""
        places = self.places
        trees = ["--dkmstree", places.dkms_tree, "--sourcetree", places.source_tree, "--installtree"]
        try:
            status = main(["dkms", *words, *map(str, trees), str(places.install_tree), "--no-depmod"])
        except SystemExit as end:
            status = int(str(end.code))
        said = self._capsys.readouterr()
        return status, said.out, said.err

    def pretend_built(self, name: str, version: str, kernel: str = KERNEL, *, text: str = "module") -> None:
        """Have DKMS' tree say that a package was built."""
        folder = self.places.built(name, version, kernel, ARCH)
        (folder / "module").mkdir(parents=True)
        (folder / "log").mkdir()
        (folder / "module/m.ko").write_text(f"{text} {name} {version}")


@pytest.fixture
def machine(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Machine:
    """A machine without packages."""
    return Machine(tmp_path, capsys)


def test_adds_a_package_once_and_says_what_is_there(machine: Machine) -> None:
    machine.sources("p", "1.0+x")
    assert machine.call("add", "-m", "p", "-v", "1.0+x") == (0, "p/1.0+x: added\n", "")
    assert machine.call("status") == (0, "p/1.0+x: added\n", "")
    assert (machine.places.dkms_tree / "p/1.0+x/source").readlink() == machine.places.source_tree / "p-1.0+x"
    status, _, said = machine.call("add", "p/1.0+x")
    assert (status, "added already" in said) == (3, True)


def test_directives_that_nobody_follows_are_told_when_a_package_is_added(machine: Machine) -> None:
    machine.sources("p", "1", "REMAKE_INITRD=yes\nAUTO_INSTALL=yes")
    said = machine.call("add", "p/1")[1]
    assert "dkms.conf: REMAKE_INITRD means nothing to DKMS since 3.0" in said
    assert "dkms.conf: AUTO_INSTALL is no directive" in said


def test_adds_a_folder_by_a_copy_in_the_source_tree(machine: Machine, tmp_path: Path) -> None:
    project = tmp_path / "project"
    machine.sources("p", "2").rename(project)
    (project / "link").symlink_to("/etc/passwd")
    assert machine.call("add", str(project))[0] == 0
    copy = machine.places.source_tree / "p-2"
    assert sorted(path.name for path in copy.iterdir()) == ["dkms.conf", "link", "m.c"]
    assert (copy / "link").is_symlink()
    assert machine.call("status")[1] == "p/2: added\n"


@pytest.mark.parametrize(
    ("words", "status", "message"),
    [
        (["add", "p/1"], 2, "no such directory"),
        (["add"], 1, "add needs a package"),
        (["build", "bad/1"], 8, "no PACKAGE_NAME"),
        (["build", "never/1"], 77, "never/1 is not for 1.2.3-none: BUILD_EXCLUSIVE_KERNEL=^9 does not match"),
        (["install", "never/1"], 77, "never/1 is not for 1.2.3-none"),
        (["build", "good/1"], 1, "no headers for kernel 1.2.3-none"),
        (["remove", "p/1"], 3, "p/1: not in"),
        (["uninstall", "p/1"], 3, "p/1: not in"),
        (["build", "good/1", "--all"], 2, "leave out -k and -a"),
        (["match"], 2, "match needs --templatekernel"),
        (["match", "--templatekernel", KERNEL], 2, "name the same kernel"),
        (["add", "../p/1"], 1, "no name for a folder"),
        (["add", "p/.."], 1, "no name for a folder"),
        (["stauts"], 2, "did you mean status?"),
        ([], 2, "no action"),
        (["add", "good/1", "other/1"], 2, "one package at a time"),
        (["add", "good/1", "--directive", "x"], 2, "not NAME=VALUE"),
    ],
)
def test_what_cannot_be_done_has_dkms_status_and_one_message(
    words: list[str], status: int, message: str, machine: Machine
) -> None:
    machine.sources("good", "1")
    machine.sources("bad", "1", "PACKAGE_NAME=")
    machine.sources("never", "1", "BUILD_EXCLUSIVE_KERNEL=^9")
    found, _, said = machine.call(*words, "-k", KERNEL)
    assert (found, message in said) == (status, True), said
    assert "Traceback" not in said


@pytest.mark.parametrize("kernel", ["../../etc", "..", "6.1/../..", "6.1.0-9/x/y", ""])
def test_a_kernel_that_is_no_release_is_refused(kernel: str, machine: Machine) -> None:
    machine.sources("good", "1")
    status, _, said = machine.call("build", "good/1", "-k", kernel)
    assert status == 2, said


def test_installs_uninstalls_and_removes_what_is_built(machine: Machine) -> None:
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
    assert "installed already" in machine.call("install", "p/1", "-k", KERNEL, "-a", ARCH)[1]
    installed.write_text("changed")
    assert "(WARNING! Diff between built and installed module!)" in machine.call("status")[1]
    assert machine.call("uninstall", "p/1", "-k", KERNEL, "-a", ARCH)[0] == 0
    assert not installed.exists()
    assert machine.call("status")[1] == f"p/1, {KERNEL}, {ARCH}: built\n"
    assert machine.call("remove", "p/1", "--all")[0] == 0
    assert machine.call("status") == (0, "", "")
    assert [path.name for path in machine.places.dkms_tree.iterdir()] == [".kbuildpy"]


def test_a_file_that_is_replaced_comes_back(machine: Machine) -> None:
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


def test_a_newer_version_takes_the_place_of_the_older_one(machine: Machine) -> None:
    for version in ("1", "2"):
        machine.sources("p", version)
        machine.call("add", f"p/{version}")
        machine.pretend_built("p", version)
        assert machine.call("install", f"p/{version}", "-k", KERNEL, "-a", ARCH)[0] == 0
    lines = machine.call("status")[1].splitlines()
    assert lines == [f"p/1, {KERNEL}, {ARCH}: built", f"p/2, {KERNEL}, {ARCH}: installed"]
    assert (machine.places.install_tree / KERNEL / "updates/dkms/m.ko").read_text() == "module p 2"
    assert not (machine.places.dkms_tree / "p/original_module").exists()


def test_a_module_that_the_kernel_has_itself_stays_unless_forced(machine: Machine) -> None:
    machine.sources("p", "1")
    machine.call("add", "p/1")
    machine.pretend_built("p", "1")
    own = machine.places.install_tree / KERNEL / "kernel/m.ko"
    own.parent.mkdir()
    own.write_text("module of the kernel")
    _, said, _ = machine.call("install", "p/1", "-k", KERNEL, "-a", ARCH)
    assert "m: kernel/m.ko is this module; --force installs this one" in said
    assert not (machine.places.install_tree / KERNEL / "updates").exists()
    machine.call("install", "p/1", "-k", KERNEL, "-a", ARCH, "--force")
    assert (machine.places.install_tree / KERNEL / "updates/dkms/m.ko").exists()
    assert own.exists()


@pytest.mark.parametrize(
    ("obsolete", "left_out"), [("1.2.3", True), ("1.2", True), ("1.2.4", False), ("1.2.3-0", True), ("2.0", False)]
)
def test_modules_that_the_kernel_has_by_now_are_left_out(obsolete: str, left_out: bool, machine: Machine) -> None:
    machine.sources("p", "1", f"OBSOLETE_BY={obsolete}")
    machine.call("add", "p/1")
    machine.pretend_built("p", "1")
    status, _, said = machine.call("install", "p/1", "-k", KERNEL, "-a", ARCH)
    assert (status, "the kernel has the modules itself" in said) == ((77, True) if left_out else (0, False))
    assert machine.places.is_installed("p", "1", KERNEL, ARCH) != left_out
    assert machine.call("autoinstall", "-k", KERNEL, "-a", ARCH)[0] == 0
    assert machine.call("install", "p/1", "-k", KERNEL, "-a", ARCH, "--force")[0] == 0
    assert machine.places.is_installed("p", "1", KERNEL, ARCH)


def test_autoinstall_takes_the_newest_after_what_it_needs_and_goes_on_after_a_failure(machine: Machine) -> None:
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
            machine.pretend_built(name, version)
            module = machine.places.built(name, version, KERNEL, ARCH) / "module"
            (module / "m.ko").rename(module / f"{name}.ko")
    status, said, complaints = machine.call("autoinstall", "-k", KERNEL, "-a", ARCH)
    assert status == 11
    assert [line for line in said.splitlines() if ": installed" in line] == [
        f"z/1: installed for {KERNEL} ({ARCH})",
        f"a/1.10: installed for {KERNEL} ({ARCH})",
    ]
    assert "e/1: left out: e/1 is not for 1.2.3-none: BUILD_EXCLUSIVE_ARCH=none" in said
    assert "no headers for kernel 1.2.3-none" in complaints
    assert "c/1: not built: it needs nobody (BUILD_DEPENDS)" in complaints


def test_a_package_is_built_again_after_what_it_depends_on_if_it_wants_that(machine: Machine) -> None:
    for name, version, more in (
        ("a", "1", "BUILD_DEPENDS[0]=z\nBUILD_DEPENDS_REBUILD=yes"),
        ("b", "1", "BUILD_DEPENDS[0]=z"),
        ("z", "1", ""),
        ("z", "2", ""),
    ):
        machine.sources(name, version, f"AUTOINSTALL=yes\nDEST_MODULE_NAME={name}\n{more}")
        machine.call("add", f"{name}/{version}")
        machine.pretend_built(name, version)
        module = machine.places.built(name, version, KERNEL, ARCH) / "module"
        (module / "m.ko").rename(module / f"{name}.ko")
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
    machine: Machine, monkeypatch: pytest.MonkeyPatch
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
        machine.pretend_built(name, "1")
        (machine.places.built(name, "1", KERNEL, ARCH) / "module/m.ko").rename(
            machine.places.built(name, "1", KERNEL, ARCH) / f"module/{name}.ko"
        )
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


def test_packages_that_need_each_other_are_told(machine: Machine) -> None:
    for name, other in (("a", "b"), ("b", "a")):
        machine.sources(name, "1", f"AUTOINSTALL=yes\nBUILD_DEPENDS[0]={other}")
        machine.call("add", f"{name}/1")
    status, _, complaints = machine.call("autoinstall", "-k", KERNEL, "-a", ARCH)
    assert (status, complaints.count("(BUILD_DEPENDS)")) == (11, 2)


def test_match_installs_for_a_kernel_what_another_one_has(machine: Machine) -> None:
    other = "1.2.4-none"
    (machine.places.install_tree / other).mkdir()
    for name in ("p", "q"):
        machine.sources(name, "1", f"DEST_MODULE_NAME={name}")
        machine.call("add", f"{name}/1")
        for kernel in (KERNEL, other):
            machine.pretend_built(name, "1", kernel)
            module = machine.places.built(name, "1", kernel, ARCH) / "module"
            (module / "m.ko").rename(module / f"{name}.ko")
    machine.call("install", "p/1", "-k", KERNEL, "-a", ARCH)
    assert machine.call("match", "--templatekernel", KERNEL, "-k", other, "-a", ARCH)[0] == 0
    assert machine.places.is_installed("p", "1", other, ARCH)
    assert not machine.places.is_installed("q", "1", other, ARCH)


def test_status_in_json_has_an_object_for_each_line(machine: Machine) -> None:
    machine.sources("p", "1")
    machine.sources("q", "1")
    for name in ("p", "q"):
        machine.call("add", f"{name}/1")
    machine.pretend_built("p", "1")
    log = machine.places.failed("p", "1", "9.9", ARCH) / "make.log"
    log.parent.mkdir(parents=True)
    log.touch()
    found = [json.loads(line) for line in machine.call("status", "--format", "json")[1].splitlines()]
    common = {"name": "p", "version": "1", "arch": ARCH, "tried": False}
    assert found == [
        {**common, "state": "built", "kernel": KERNEL, "remarks": [], "log": None},
        {**common, "state": "failed", "kernel": "9.9", "remarks": [f"see {log}"], "log": str(log)},
        {**common, "name": "q", "state": "added", "kernel": None, "arch": None, "remarks": [], "log": None},
    ]


def test_a_package_whose_file_is_broken_is_told_and_hides_no_other(machine: Machine) -> None:
    for name in ("p", "q"):
        machine.sources(name, "1")
        machine.call("add", f"{name}/1")
        machine.pretend_built(name, "1")
    (machine.places.source_tree / "p-1/dkms.conf").write_text("if")
    lines = machine.call("status")[1].splitlines()
    assert lines[0].startswith(f"p/1, {KERNEL}, {ARCH}: broken (")
    assert lines[1] == f"q/1, {KERNEL}, {ARCH}: built"


def test_one_process_at_a_time_changes_the_trees(machine: Machine, tmp_path: Path) -> None:
    machine.sources("p", "1")
    with locked(machine.places), pytest.raises(BlockingIOError):
        _try_lock(machine.places.state / "lock")
    assert machine.call("add", "p/1")[0] == 0


def _try_lock(path: Path) -> None:
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


def test_the_removal_of_a_kernel_takes_its_modules_and_leaves_the_packages(machine: Machine) -> None:
    for name in ("p", "q"):
        machine.sources(name, "1", f"DEST_MODULE_NAME={name}")
        machine.call("add", f"{name}/1")
    machine.pretend_built("p", "1")
    module = machine.places.built("p", "1", KERNEL, ARCH) / "module"
    (module / "m.ko").rename(module / "p.ko")
    machine.call("install", "p/1", "-k", KERNEL, "-a", ARCH)
    assert machine.call("unbuild", "-k", KERNEL, "-a", ARCH)[0] == 0
    assert machine.call("status")[1] == "p/1: added\nq/1: added\n"
    assert not list((machine.places.install_tree / KERNEL).iterdir())


def test_a_package_is_configured_for_the_kernels_that_can_be_built_for(machine: Machine, tmp_path: Path) -> None:
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


def test_configuring_again_begins_anew_and_tells_what_fails(machine: Machine) -> None:
    machine.sources("p", "1")
    status, said, _ = machine.call("configure", "-m", "p", "-v", "1")
    assert (status, said) == (0, "p/1: added\np/1: no kernel is installed with its headers: nothing to build for\n")
    machine.pretend_built("p", "1")
    machine.call("configure", "-m", "p", "-v", "1")
    assert machine.call("status")[1] == "p/1: added\n"


def test_a_package_is_configured_from_an_archive_if_there_is_one(machine: Machine, tmp_path: Path) -> None:
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


def test_only_what_ran_in_qemu_here_counts_as_tried(
    machine: Machine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried: list[str] = []

    def try_modules(conf: DkmsConf, modules: Sequence[Path], needed: Sequence[Path], tree: KernelTree) -> str:
        tried.extend(path.read_text() for path in modules)
        return "m: loaded and removed\n"

    def install() -> list[str]:
        tried.clear()
        assert machine.call("install", "p/1", "-k", KERNEL, "-a", ARCH, "--try")[0] == 0
        assert json.loads(machine.call("status", "--format", "json")[1])["tried"]
        machine.call("uninstall", "p/1", "-k", KERNEL, "-a", ARCH)
        return list(tried)

    monkeypatch.setattr("kbuildpy.dkms.tried.try_modules", try_modules)
    monkeypatch.setattr(DkmsMachine, "tree", lambda machine, kernel: KernelTree(tmp_path, tmp_path, kernel))
    machine.sources("p", "1")
    machine.call("add", "p/1")
    machine.pretend_built("p", "1")
    built = machine.places.built("p", "1", KERNEL, ARCH)
    assert install() == ["module p 1"]
    assert install() == []
    archive = tmp_path / "p.tar"
    (built / "module/m.ko").write_text("of an archive")
    assert not json.loads(machine.call("status", "--format", "json")[1])["tried"]
    assert machine.call("mktarball", "p/1", "-k", f"{KERNEL}/{ARCH}", "--archive", str(archive))[0] == 0
    machine.call("remove", "p/1", "--all")
    assert not (machine.places.state / "tried").exists()
    assert machine.call("ldtarball", str(archive))[0] == 0
    assert not (built / "log/try.log").exists()
    assert not json.loads(machine.call("status", "--format", "json")[1])["tried"]
    assert install() == ["of an archive"]
    (built / "module/m.ko").write_text("of somebody")
    assert install() == ["of somebody"]


def test_modules_are_asked_about_with_all_that_they_need(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    needs = {"a": "b c", "b": "d", "c": "d nobody", "d": "e a", "e": ""}
    for name, needed in needs.items():
        machine.sources(name, "1", f"DEST_MODULE_NAME={name}\nBUILD_DEPENDS[0]='{needed}'")
        machine.call("add", f"{name}/1")
        machine.pretend_built(name, "1")
        folder = machine.places.built(name, "1", KERNEL, ARCH) / "module"
        (folder / "m.ko").rename(folder / f"{name}.ko")
        if name not in "ae":
            machine.call("install", f"{name}/1", "-k", KERNEL, "-a", ARCH)
    asked: list[list[str]] = []

    def try_modules(conf: DkmsConf, modules: Sequence[Path], needed: Sequence[Path], tree: KernelTree) -> str:
        asked.append([path.name for path in needed])
        return ""

    monkeypatch.setattr("kbuildpy.dkms.tried.try_modules", try_modules)
    monkeypatch.setattr(DkmsMachine, "tree", lambda machine, kernel: KernelTree(Path(), Path(), kernel))
    words = ("install", "a/1", "-k", KERNEL, "-a", ARCH, "--try", "--directive", "AUTOINSTALL=yes")
    assert machine.call(*words)[0] == 0
    # (e is not installed)
    assert [sorted(names) for names in asked] == [["b.ko", "c.ko", "d.ko"]]
    machine.call("install", "e/1", "-k", KERNEL, "-a", ARCH)
    found = DkmsMachine(machine.places, "debian", {}, 1, print)
    conf = found.named_conf("a", "1", KERNEL, ARCH)
    assert needed_packages(found, conf, KERNEL, ARCH) == ("b", "d", "e", "c", "nobody")


def packed(machine: Machine, archive: Path) -> Path:
    """The sources of p/1, in an archive and in the source tree, where p/1 is not added."""
    source = machine.sources("p", "1")
    machine.call("add", "p/1")
    machine.pretend_built("p", "1")
    assert machine.call("mktarball", "p/1", "--all", "--archive", str(archive))[0] == 0
    machine.call("remove", "p/1", "--all")
    return source


def test_sources_that_differ_from_those_in_an_archive_stay_unless_forced(machine: Machine, tmp_path: Path) -> None:
    archive = tmp_path / "p.tar"
    source = packed(machine, archive)
    (source / ".git").mkdir()
    (source / ".git/mine").touch()
    assert machine.call("ldtarball", str(archive))[0] == 0
    assert (source / ".git/mine").exists()
    for change in ("m.c", "more.c"):
        machine.call("remove", "p/1", "--all")
        (source / change).write_text("my own work")
        status, _, said = machine.call("ldtarball", str(archive))
        assert (status, f"{source}: exists already\n  --force replaces it" in said) == (3, True)
        assert (source / change).read_text() == "my own work"
        assert machine.call("status")[1] == ""
        assert machine.call("ldtarball", str(archive), "--force")[0] == 0
        assert sorted(path.name for path in source.iterdir()) == ["dkms.conf", "m.c"]
        assert (source / "m.c").read_text() == ""
    (source / "m.c").chmod(0o755)
    machine.call("remove", "p/1", "--all")
    assert machine.call("ldtarball", str(archive))[0] == 3


def test_a_link_to_sources_is_replaced_and_not_what_it_leads_to(machine: Machine, tmp_path: Path) -> None:
    archive = tmp_path / "p.tar"
    source = packed(machine, archive)
    source.rename(tmp_path / "project")
    (tmp_path / "project/m.c").write_text("my own work")
    source.symlink_to(tmp_path / "project")
    assert machine.call("ldtarball", str(archive))[0] == 3
    assert machine.call("ldtarball", str(archive), "--force")[0] == 0
    assert not source.is_symlink()
    assert (tmp_path / "project/m.c").read_text() == "my own work"
    assert sorted(path.name for path in machine.places.source_tree.iterdir()) == ["p-1"]


@pytest.mark.parametrize("can_exchange", [True, False])
def test_sources_are_replaced_in_one_step(
    can_exchange: bool, machine: Machine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = machine.sources("p", "1")
    project = tmp_path / "project"
    shutil.copytree(source, project)
    (project / "m.c").write_text("new")
    rmtree = shutil.rmtree

    def rmtree_and_end(path: Path, *, ignore_errors: bool) -> None:
        rmtree(path, ignore_errors=ignore_errors)
        if path.name != ".p-1.new~" or not source.exists():
            raise KeyboardInterrupt

    def no_exchange(one: Path, other: Path) -> None:
        raise OSError(errno.EXDEV, "Invalid cross-device link", str(one))

    if can_exchange:
        monkeypatch.setattr("kbuildpy.dkms.add.shutil.rmtree", rmtree_and_end)
    else:
        monkeypatch.setattr("kbuildpy.dkms.add.exchange", no_exchange)
    assert machine.call("add", str(project), "--force")[0] == 0
    assert (source / "m.c").read_text() == "new"
    assert [path.name for path in machine.places.source_tree.iterdir()] == ["p-1"]


def test_an_archive_replaces_no_modules_that_are_installed(machine: Machine, tmp_path: Path) -> None:
    archive = tmp_path / "p.tar"
    packed(machine, archive)
    assert machine.call("ldtarball", str(archive))[0] == 0
    machine.call("install", "p/1", "-k", KERNEL, "-a", ARCH)
    built = machine.places.built("p", "1", KERNEL, ARCH) / "module/m.ko"
    (machine.places.source_tree / "p-1/m.c").write_text("of mine")
    built.write_text("mine")
    status, _, said = machine.call("ldtarball", str(archive), "--force")
    assert status == 8
    assert f"p/1: installed for {KERNEL}, and the archive has modules for it\n  uninstall it first: " in said
    assert (built.read_text(), (machine.places.source_tree / "p-1/m.c").read_text()) == ("mine", "of mine")
    machine.call("uninstall", "p/1", "-k", KERNEL, "-a", ARCH)
    assert machine.call("ldtarball", str(archive), "--force")[0] == 0
    assert built.read_text() == "module p 1"


@pytest.mark.parametrize("then", ["install", "uninstall", "remove", "install, roll back, remove"])
def test_a_build_over_an_installed_package_leaves_no_module_behind(
    then: str, machine: Machine, monkeypatch: pytest.MonkeyPatch
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
