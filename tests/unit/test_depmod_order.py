# SPDX-License-Identifier: GPL-2.0-only
"""Which of several modules of one name depmod takes: what is said here is what depmod writes."""

from __future__ import annotations

import itertools
import shutil
from pathlib import Path

import pytest

from kbuildpy.install import rivals
from kbuildpy.install.rivals import tell_rivals
from kbuildpy.kernel.depmod_order import SearchOrder, indexed_paths, modules_by_name, search_order
from kbuildpy.run import run

RELEASE = "9.9-test"
FOLDERS = ("kernel/a", "kernel/b", "extra", "updates", "updates/dkms", "weak-updates", "updates-more")
CONFIGURATIONS = {
    "none": {},
    "ubuntu": {"ubuntu.conf": "search updates ubuntu built-in\n"},
    "extra": {"a.conf": "# comment\nsearch extra updates weak-updates built-in\n"},
    "several": {"b.conf": "search kernel/b built-in extra\n", "a.conf": "search updates/dkms\nsearch updates\n"},
    "override": {"a.conf": "override drv * kernel/a\noverride other * extra\n"},
    "kernel": {"a.conf": "override drv ^9\\.9 extra\noverride drv ^8 kernel/b\nsearch \\\nkernel/b updates\n"},
    "built-in first": {"a.conf": "search built-in updates\n"},
}


@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_the_winner_is_the_one_in_depmods_index(name: str, tmp_path: Path) -> None:
    if not shutil.which("depmod", path="/usr/sbin:/sbin:/usr/bin:/bin"):
        pytest.skip("takes depmod")
    configuration = tmp_path / "depmod.d"
    configuration.mkdir()
    for file, text in CONFIGURATIONS[name].items():
        (configuration / file).write_text(text)
    order = search_order(RELEASE, [configuration])
    decided = 0
    for number, pair in enumerate(itertools.permutations(FOLDERS, 2)):
        root = tmp_path / str(number)
        directory = root / "lib/modules" / RELEASE
        for folder in pair:
            (directory / folder).mkdir(parents=True, exist_ok=True)
            (directory / folder / "drv.ko").touch()
        (directory / "modules.order").touch()
        (directory / "modules.builtin").touch()
        run(["/sbin/depmod", "-C", configuration, "-b", root, RELEASE], check=False)
        indexed = indexed_paths(directory)
        assert indexed is not None
        paths = modules_by_name(directory)["drv"]
        assert len(paths) == 2
        winner = order.winner(paths)
        decided += winner is not None
        assert winner in (None, indexed["drv"]), f"{paths} with {CONFIGURATIONS[name]}"
    assert decided >= 12


def test_what_only_the_file_system_decides_is_not_guessed() -> None:
    assert SearchOrder().winner(["extra/drv.ko", "kernel/drv.ko.xz"]) is None
    assert SearchOrder().winner(["updates/drv.ko", "updates/drv.ko.xz"]) is None
    assert SearchOrder().winner(["updates/drv.ko", "kernel/drv.ko.xz"]) == "updates/drv.ko"


def test_a_file_that_cannot_be_read_is_passed_over(tmp_path: Path) -> None:
    (tmp_path / "a.conf").symlink_to("none")
    (tmp_path / "b.conf").mkdir()
    (tmp_path / "c.conf").write_text("search extra updates\n")
    assert search_order(RELEASE, [tmp_path]).searches == ("extra", "updates")


def test_no_directory_is_advised_that_depmod_has_no_name_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for path in ("kernel/drv.ko", "updates/drv.ko"):
        (tmp_path / path).parent.mkdir()
        (tmp_path / path).touch()
    monkeypatch.setattr(rivals, "search_order", lambda release: SearchOrder(("built-in", "updates")))
    warned: list[str] = []
    tell_rivals(tmp_path, ["updates/drv.ko"], release=RELEASE, indexed=False, say=pytest.fail, warn=warned.append)
    [warning] = warned
    assert warning.splitlines() == [
        "kbuildpy: warning: drv: modprobe takes kernel/drv.ko, and not updates/drv.ko",
        "  depmod searches built-in updates: say `override drv * DIR` in /etc/depmod.d/drv.conf",
    ]


def test_installing_tells_which_one_modprobe_takes(tmp_path: Path) -> None:
    directory = tmp_path / RELEASE
    for path in ("kernel/a/drv.ko.xz", "updates/drv.ko", "extra/drv.ko", "extra/lonely.ko", "build/drv.ko"):
        (directory / path).parent.mkdir(parents=True, exist_ok=True)
        (directory / path).touch()
    said: list[str] = []
    warned: list[str] = []

    def tell(installed: str, *, indexed: bool = False) -> None:
        said.clear()
        warned.clear()
        tell_rivals(directory, [installed], release=RELEASE, indexed=indexed, say=said.append, warn=warned.append)

    tell("updates/drv.ko")
    assert said == ["kbuildpy: drv: modprobe takes updates/drv.ko, and not extra/drv.ko, kernel/a/drv.ko.xz"]
    tell("extra/drv.ko")
    assert not said
    assert "drv: modprobe takes updates/drv.ko, and not extra/drv.ko" in warned[0]
    assert "INSTALL_MOD_DIR=updates" in warned[0]
    tell("updates//drv.ko")
    assert not warned and said[0].startswith("kbuildpy: drv: modprobe takes updates/drv.ko")
    # What depmod has written counts more than what it would write.
    (directory / "modules.dep").write_text("extra/drv.ko:\nextra/lonely.ko:\n")
    tell("extra/drv.ko", indexed=True)
    assert not warned
    assert said[0].startswith("kbuildpy: drv: modprobe takes extra/drv.ko")
    (directory / "updates/drv.ko").unlink()
    tell("extra/drv.ko")
    assert "modprobe takes the one that depmod reads first" in warned[0]
    tell("extra/lonely.ko")
    assert said == warned == []
