# SPDX-License-Identifier: GPL-2.0-only
"""`kbuildpy dkms` without a kernel tree: what is added, what is refused and with which exit status, what is there."""

from __future__ import annotations

import fcntl
import json
from pathlib import Path

import pytest

from kbuildpy.dkms.places import locked
from tests.support.dkms_trees import ARCH, KERNEL, DkmsTrees


@pytest.fixture
def machine(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> DkmsTrees:
    return DkmsTrees(tmp_path, capsys)


def test_adds_a_package_once_and_says_what_is_there(machine: DkmsTrees) -> None:
    machine.sources("p", "1.0+x")
    assert machine.call("add", "-m", "p", "-v", "1.0+x") == (0, "p/1.0+x: added\n", "")
    assert machine.call("status") == (0, "p/1.0+x: added\n", "")
    assert (machine.places.dkms_tree / "p/1.0+x/source").readlink() == machine.places.source_tree / "p-1.0+x"
    status, _, said = machine.call("add", "p/1.0+x")
    assert (status, "added already" in said) == (3, True)


def test_directives_that_nobody_follows_are_told_when_a_package_is_added(machine: DkmsTrees) -> None:
    machine.sources("p", "1", "REMAKE_INITRD=yes\nAUTO_INSTALL=yes")
    said = machine.call("add", "p/1")[1]
    assert "dkms.conf: REMAKE_INITRD means nothing to DKMS since 3.0" in said
    assert "dkms.conf: AUTO_INSTALL is no directive" in said


def test_adds_a_folder_by_a_copy_in_the_source_tree(machine: DkmsTrees, tmp_path: Path) -> None:
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
        (["add", "good"], 1, "add needs the version of good, too\n  kbuildpy dkms add good/1\n"),
        (
            ["install", "nothing"],
            1,
            "install needs the version of nothing, too\n  kbuildpy dkms install NAME/VERSION\n",
        ),
        (["add", "godo/1"], 2, "did you mean good-1?"),
        (["add", "p/1"], 2, "kbuildpy dkms add DIRECTORY puts them there"),
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
    words: list[str], status: int, message: str, machine: DkmsTrees
) -> None:
    machine.sources("good", "1")
    machine.sources("bad", "1", "PACKAGE_NAME=")
    machine.sources("never", "1", "BUILD_EXCLUSIVE_KERNEL=^9")
    found, _, said = machine.call(*words, "-k", KERNEL)
    assert (found, message in said) == (status, True), said
    assert "Traceback" not in said


@pytest.mark.parametrize("kernel", ["../../etc", "..", "6.1/../..", "6.1.0-9/x/y", ""])
def test_a_kernel_that_is_no_release_is_refused(kernel: str, machine: DkmsTrees) -> None:
    machine.sources("good", "1")
    status, _, said = machine.call("build", "good/1", "-k", kernel)
    assert status == 2, said


def test_status_in_json_has_an_object_for_each_line(machine: DkmsTrees) -> None:
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


def test_a_package_whose_file_is_broken_is_told_and_hides_no_other(machine: DkmsTrees) -> None:
    for name in ("p", "q"):
        machine.sources(name, "1")
        machine.call("add", f"{name}/1")
        machine.pretend_built(name, "1")
    (machine.places.source_tree / "p-1/dkms.conf").write_text("if")
    lines = machine.call("status")[1].splitlines()
    assert lines[0].startswith(f"p/1, {KERNEL}, {ARCH}: broken (")
    assert lines[1] == f"q/1, {KERNEL}, {ARCH}: built"


def test_one_process_at_a_time_changes_the_trees(machine: DkmsTrees, tmp_path: Path) -> None:
    machine.sources("p", "1")
    with locked(machine.places), pytest.raises(BlockingIOError):
        _try_lock(machine.places.state / "lock")
    assert machine.call("add", "p/1")[0] == 0


def _try_lock(path: Path) -> None:
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
