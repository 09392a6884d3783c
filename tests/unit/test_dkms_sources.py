# SPDX-License-Identifier: GPL-2.0-only
"""`kbuildpy dkms` over sources and modules that are there already: only --force replaces them."""

from __future__ import annotations

import errno
import shutil
from pathlib import Path

import pytest

from tests.support.dkms_trees import ARCH, KERNEL, DkmsTrees


@pytest.fixture
def machine(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> DkmsTrees:
    return DkmsTrees(tmp_path, capsys)


def packed(machine: DkmsTrees, archive: Path) -> Path:
    """The sources of p/1, in an archive and in the source tree, where p/1 is not added."""
    source = machine.sources("p", "1")
    machine.call("add", "p/1")
    machine.pretend_built("p", "1")
    assert machine.call("mktarball", "p/1", "--all", "--archive", str(archive))[0] == 0
    machine.call("remove", "p/1", "--all")
    return source


def test_sources_that_differ_from_those_in_an_archive_stay_unless_forced(machine: DkmsTrees, tmp_path: Path) -> None:
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


def test_a_link_to_sources_is_replaced_and_not_what_it_leads_to(machine: DkmsTrees, tmp_path: Path) -> None:
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
    can_exchange: bool, machine: DkmsTrees, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
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
        monkeypatch.setattr("kbuildpy.exchange.shutil.rmtree", rmtree_and_end)
    else:
        monkeypatch.setattr("kbuildpy.exchange.exchange", no_exchange)
    assert machine.call("add", str(project), "--force")[0] == 0
    assert (source / "m.c").read_text() == "new"
    assert [path.name for path in machine.places.source_tree.iterdir()] == ["p-1"]


def test_an_archive_replaces_no_modules_that_are_installed(machine: DkmsTrees, tmp_path: Path) -> None:
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
