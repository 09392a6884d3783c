# SPDX-License-Identifier: GPL-2.0-only
"""The modules of a kernel change in one step: wherever a process is killed, the old set is there or the new one."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from kbuildpy.dkms import switch as subject
from kbuildpy.dkms.places import DkmsPlaces
from kbuildpy.dkms.switch import SetChange, finish, previous_set, roll_back, switch
from kbuildpy.errors import KbuildError

KERNEL, ARCH = "6.1.0-9-amd64", "x86_64"
OLD = {"updates/dkms/a.ko": "old a", "updates/dkms/b.ko": "old b", "updates/dkms/other.ko": "other"}
NEW = {"updates/dkms/a.ko": "new a", "updates/dkms/c.ko": "new c", "updates/dkms/other.ko": "other"}


class Killed(BaseException):
    """In place of SIGKILL: no handler may catch it to clean up."""


@pytest.fixture
def places(tmp_path: Path) -> DkmsPlaces:
    """The trees of a machine on which version 1 of a package is installed."""
    places = DkmsPlaces(tmp_path / "dkms", tmp_path / "src", tmp_path / "lib/modules", tmp_path / "etc")
    for name, text in OLD.items():
        path = places.install_tree / KERNEL / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    (places.dkms_tree / "p").mkdir(parents=True)
    places.active("p", KERNEL, ARCH).symlink_to(f"1/{KERNEL}/{ARCH}")
    return places


def change(places: DkmsPlaces) -> SetChange:
    """Version 2 of the package in place of version 1."""
    files: dict[str, str | None] = dict.fromkeys(name for name in OLD if not name.endswith("other.ko"))
    for name, text in NEW.items():
        if not name.endswith("other.ko"):
            source = places.dkms_tree / Path(name).name
            source.write_text(text)
            files[name] = str(source)
    return SetChange(KERNEL, ARCH, files, {"p": "2"})


def modules(places: DkmsPlaces) -> dict[str, str]:
    """The modules that depmod would find."""
    root = places.install_tree / KERNEL
    return {str(path.relative_to(root)): path.read_text() for path in sorted(root.rglob("*.ko"))}


def installed_version(places: DkmsPlaces) -> str:
    """The version that DKMS takes for the installed one."""
    return str(places.active("p", KERNEL, ARCH).readlink()).partition("/")[0]


def test_a_change_replaces_adds_and_removes_and_leaves_what_is_of_others(places: DkmsPlaces) -> None:
    other = (places.install_tree / KERNEL / "updates/dkms/other.ko").stat().st_ino
    switch(places, change(places), depmod=False)
    assert modules(places) == NEW
    assert installed_version(places) == "2"
    assert (places.install_tree / KERNEL / "updates/dkms/other.ko").stat().st_ino == other
    assert {path.name: path.read_text() for path in previous_set(places, KERNEL).rglob("*.ko")} == {
        Path(name).name: text for name, text in OLD.items()
    }


@pytest.mark.parametrize("step", ["_stage_directory", "sync_tree", "_write_journal"])
def test_a_kill_before_the_journal_is_written_leaves_the_old_set(
    step: str, places: DkmsPlaces, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = change(places)
    with monkeypatch.context() as patch:
        patch.setattr(subject, step, killed)
        with pytest.raises(Killed):
            switch(places, wanted, depmod=False)
    assert (modules(places), installed_version(places)) == (OLD, "1")
    assert finish(places, depmod=False) == []
    assert (modules(places), installed_version(places)) == (OLD, "1")
    switch(places, wanted, depmod=False)
    assert (modules(places), installed_version(places)) == (NEW, "2")


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("step", ["exchange", "_remove_empty", "_link", "_depmod", "_keep_previous"])
def test_a_kill_after_the_journal_is_written_is_finished_by_the_next_call(
    step: str, when: str, places: DkmsPlaces, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = change(places)
    monkeypatch.setattr(subject, "_depmod", lambda *_: None)
    original = getattr(subject, step)

    def then_killed(*args: object) -> None:
        original(*args)
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(subject, step, killed if when == "before" else then_killed)
        with pytest.raises(Killed):
            switch(places, wanted)
    found = modules(places)
    assert found == (OLD if (step, when) == ("exchange", "before") else NEW)
    finish(places)
    assert (modules(places), installed_version(places)) == (NEW, "2")
    assert finish(places) == []


def killed(*_: object) -> None:
    """Ends the process, as far as the test goes."""
    raise Killed


def test_a_step_that_fails_before_the_exchange_changes_nothing(
    places: DkmsPlaces, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device", "x")

    monkeypatch.setattr(subject, "sync_tree", full)
    with pytest.raises(KbuildError, match="No space left on device"):
        switch(places, change(places), depmod=False)
    assert (modules(places), installed_version(places)) == (OLD, "1")
    assert not list((places.install_tree / ".kbuildpy").iterdir())


def test_the_last_module_leaves_no_folder_and_no_link(places: DkmsPlaces) -> None:
    switch(places, SetChange(KERNEL, ARCH, dict.fromkeys(OLD), {"p": None}), depmod=False)
    assert list((places.install_tree / KERNEL).iterdir()) == []
    assert not places.active("p", KERNEL, ARCH).is_symlink()


def test_folders_that_are_in_each_other_change_with_the_outer_one(places: DkmsPlaces) -> None:
    files: dict[str, str | None] = {}
    for name in ("extra/x.ko", "extra/lib/y.ko", "extras/z.ko"):
        source = places.dkms_tree / Path(name).name
        source.write_text(name)
        files[name] = str(source)
    switch(places, SetChange(KERNEL, ARCH, files, {}), depmod=False)
    assert modules(places) == {**OLD, **{name: name for name in files}}
    switch(places, SetChange(KERNEL, ARCH, {"extra/lib/y.ko": None}, {}), depmod=False)
    assert modules(places) == {**OLD, "extra/x.ko": "extra/x.ko", "extras/z.ko": "extras/z.ko"}


def test_a_journal_that_cannot_be_read_is_left_alone(places: DkmsPlaces) -> None:
    journal = places.state / "journal" / f"{KERNEL}.json"
    journal.parent.mkdir(parents=True)
    for text in ("", "[]", json.dumps({"kernel": KERNEL}), "\0"):
        journal.write_text(text)
        assert finish(places, depmod=False) == []
    assert modules(places) == OLD


def test_a_link_among_the_modules_stays_one(places: DkmsPlaces, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("secret")
    link = places.install_tree / KERNEL / "updates/dkms/link.ko"
    link.symlink_to(tmp_path / "secret")
    switch(places, change(places), depmod=False)
    assert link.is_symlink()
    assert (tmp_path / "secret").read_text() == "secret"


def test_a_change_is_taken_back_and_that_too(places: DkmsPlaces) -> None:
    for version in ("1", "2"):
        places.built("p", version, KERNEL, ARCH).mkdir(parents=True)
    switch(places, change(places), depmod=False)
    assert roll_back(places, KERNEL, depmod=False) == {"p": "1"}
    assert (modules(places), installed_version(places)) == (OLD, "1")
    assert roll_back(places, KERNEL, depmod=False) == {"p": "2"}
    assert (modules(places), installed_version(places)) == (NEW, "2")


def test_the_first_and_the_last_installation_are_taken_back(places: DkmsPlaces) -> None:
    places.built("p", "1", KERNEL, ARCH).mkdir(parents=True)
    switch(places, SetChange(KERNEL, ARCH, dict.fromkeys(OLD), {"p": None}), depmod=False)
    assert modules(places) == {}
    roll_back(places, KERNEL, depmod=False)
    assert (modules(places), installed_version(places)) == (OLD, "1")
    roll_back(places, KERNEL, depmod=False)
    assert modules(places) == {}
    assert not places.active("p", KERNEL, ARCH).is_symlink()


def test_what_is_not_kept_or_no_longer_built_is_not_taken_back(places: DkmsPlaces) -> None:
    with pytest.raises(KbuildError, match="no previous set"):
        roll_back(places, KERNEL)
    switch(places, change(places), depmod=False)
    with pytest.raises(KbuildError, match="p/1 is no longer built"):
        roll_back(places, KERNEL)
    assert (modules(places), installed_version(places)) == (NEW, "2")


@pytest.mark.parametrize("step", ["_write_journal", "_take_place", "_link", "_keep_previous"])
def test_a_kill_while_a_change_is_taken_back_is_finished_or_harmless(
    step: str, places: DkmsPlaces, monkeypatch: pytest.MonkeyPatch
) -> None:
    for version in ("1", "2"):
        places.built("p", version, KERNEL, ARCH).mkdir(parents=True)
    switch(places, change(places), depmod=False)
    with monkeypatch.context() as patch:
        patch.setattr(subject, step, killed)
        with pytest.raises(Killed):
            roll_back(places, KERNEL, depmod=False)
    finish(places, depmod=False)
    state = (modules(places), installed_version(places))
    assert state == ((NEW, "2") if step == "_write_journal" else (OLD, "1"))


def test_where_directories_cannot_be_exchanged_files_are_replaced_one_by_one(
    places: DkmsPlaces, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: object) -> None:
        raise OSError(18, "Invalid cross-device link")

    replaced: list[str] = []
    original = shutil.copy2

    def killed_at_the_second(source: str, target: str, *, follow_symlinks: bool) -> None:
        replaced.append(target)
        if len(replaced) == 2:
            raise Killed
        original(source, target, follow_symlinks=follow_symlinks)

    places.built("p", "1", KERNEL, ARCH).mkdir(parents=True)
    switch(
        places,
        SetChange(KERNEL, ARCH, {"extra/x.ko": str(places.install_tree / KERNEL / next(iter(OLD)))}, {}),
        depmod=False,
    )
    switch(places, SetChange(KERNEL, ARCH, {"extra/x.ko": None}, {}), depmod=False)
    wanted = change(places)
    monkeypatch.setattr(subject, "exchange", refused)
    with monkeypatch.context() as patch:
        patch.setattr(shutil, "copy2", killed_at_the_second)
        with pytest.raises(Killed):
            switch(places, wanted, depmod=False)
    assert modules(places) == {**OLD, "updates/dkms/a.ko": "new a"}
    finish(places, depmod=False)
    assert (modules(places), installed_version(places)) == (NEW, "2")
    assert not [path for path in places.install_tree.rglob("*") if path.name.endswith("~")]
    with pytest.raises(KbuildError, match="no previous set"):
        roll_back(places, KERNEL)
