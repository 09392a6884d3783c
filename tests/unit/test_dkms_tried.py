# SPDX-License-Identifier: GPL-2.0-only
"""`kbuildpy dkms install --try` with a trial in QEMU that is made up: which modules are tried, and beside which."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from kbuildpy.dkms.conf import DkmsConf
from kbuildpy.dkms.machine import DkmsMachine, needed_packages
from kbuildpy.kernel.tree import KernelTree
from tests.support.dkms_trees import ARCH, KERNEL, DkmsTrees


@pytest.fixture
def machine(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> DkmsTrees:
    return DkmsTrees(tmp_path, capsys)


def test_only_what_ran_in_qemu_here_counts_as_tried(
    machine: DkmsTrees, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
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


def test_modules_are_asked_about_with_all_that_they_need(machine: DkmsTrees, monkeypatch: pytest.MonkeyPatch) -> None:
    needs = {"a": "b c", "b": "d", "c": "d nobody", "d": "e a", "e": ""}
    for name, needed in needs.items():
        machine.sources(name, "1", f"DEST_MODULE_NAME={name}\nBUILD_DEPENDS[0]='{needed}'")
        machine.call("add", f"{name}/1")
        machine.pretend_built(name, "1", module=name)
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
