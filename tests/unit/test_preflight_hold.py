# SPDX-License-Identifier: GPL-2.0-only
"""Which kernels' packages are held back, with programs of apt that are made up."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import pytest

from kbuildpy.cli import preflight_hold
from kbuildpy.cli.preflight_hold import hold_kernels
from kbuildpy.errors import KbuildError
from kbuildpy.kernel.waiting import candidate_kernels
from kbuildpy.preflight.findings import ModuleFinding, Preflight

META = "linux-image-amd64"
OTHER = "linux-image-cloud-amd64"
STATUS = f"installed {META}\\ninstalled {OTHER}\\ninstalled linux-image-6.1.0-1-amd64\\nnot-installed linux-image-rt\\n"


@dataclass
class System:
    """A system with two packages that bring in the newest kernel: 6.1.0-9-amd64 and 6.1.0-9-cloud-amd64."""

    place: Path

    def program(self, name: str, script: str) -> None:
        """Put a program into the search path."""
        path = self.place / "bin" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)

    def show(self, *, depends: str = "linux-image-6.1.0-9-amd64 (= 6.1.9-1)", cloud: bool = True) -> None:
        """What apt-cache shows."""
        text = f"Package: {META}\nVersion: 2\nDepends: {depends}\n"
        if cloud:
            text += f"\nPackage: {OTHER}\nDepends: linux-image-6.1.0-9-cloud-amd64 (= 6.1.9-1)\n"
        (self.place / "shown").write_text(text)
        self.program("apt-cache", f"cat {self.place}/shown")

    @property
    def held(self) -> list[str]:
        """What is held."""
        return (self.place / "held").read_text().split()

    @property
    def ours(self) -> list[str]:
        """What is written down."""
        file = preflight_hold.HELD
        return file.read_text().splitlines() if file.exists() else []


@pytest.fixture
def system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> System:
    made = System(tmp_path)
    held = tmp_path / "held"
    held.touch()
    made.program("dpkg-query", f"printf '{STATUS}'")
    made.program(
        "apt-mark",
        f"case $1 in showhold) cat {held};; hold) echo $2 >>{held};;"
        f" unhold) grep -vx $2 {held} >{held}.new; mv {held}.new {held};; esac",
    )
    made.show()
    monkeypatch.setenv("PATH", f"{tmp_path}/bin:{os.environ['PATH']}")
    monkeypatch.setattr(preflight_hold, "HELD", tmp_path / "var/held-kernels")
    monkeypatch.setattr(preflight_hold, "_fetch", lambda kernel: None)
    monkeypatch.setattr(preflight_hold, "installed_images", lambda: {"6.1.0-1-amd64": Path("/none")})
    return made


def judged(*lost: str) -> preflight_hold.Judge:
    """A judge for which a module is lost with the kernels `lost`."""

    def judge(release: str) -> Preflight:
        modules = (ModuleFinding("drv", "unbuildable" if release in lost else "builds", True, ""),)
        return Preflight("6.1.0-1-amd64", release, modules, (), "")

    return judge


def hold(judge: preflight_hold.Judge) -> int:
    return hold_kernels(judge, lambda found: None)


def test_the_kernel_is_that_of_the_first_alternative(system: System) -> None:
    for depends in (
        "linux-image-6.1.0-9-amd64 (= 1)",
        "linux-image-6.1.0-9-amd64, linux-base",
        "a, linux-image-6.1.0-9-amd64|b",
    ):
        system.show(depends=depends, cloud=False)
        assert candidate_kernels() == [(META, "6.1.0-9-amd64")]


def test_a_package_is_held_while_a_module_would_be_lost(system: System) -> None:
    assert hold(judged("6.1.0-9-amd64")) == 1
    assert (system.held, system.ours) == ([META], [f"{META} 6.1.0-9-amd64"])
    assert hold(judged("6.1.0-9-amd64")) == 1
    assert system.held == [META]
    assert hold(judged()) == 0
    assert (system.held, system.ours) == ([], [])


def test_what_somebody_else_holds_stays_held(system: System) -> None:
    (system.place / "held").write_text(f"{META}\n")
    assert hold(judged()) == 0
    assert (system.held, system.ours) == ([META], [])


def test_nothing_is_let_go_when_apt_does_not_answer(system: System, capsys: pytest.CaptureFixture[str]) -> None:
    assert hold(judged("6.1.0-9-amd64")) == 1
    system.program("apt-cache", "echo the lists are damaged >&2; exit 100")
    with pytest.raises(KbuildError, match="apt-cache fails: the lists are damaged"):
        hold(judged())
    system.program("apt-cache", "")
    assert hold(judged()) == 1
    assert "stays held back" in capsys.readouterr().err
    system.program("dpkg-query", "exit 2")
    with pytest.raises(KbuildError, match="dpkg-query fails: status 2"):
        hold(judged())
    assert (system.held, system.ours) == ([META], [f"{META} 6.1.0-9-amd64"])


def test_one_that_cannot_be_judged_does_not_keep_the_others_from_it(
    system: System, capsys: pytest.CaptureFixture[str]
) -> None:
    def judge(release: str) -> Preflight:
        if "cloud" not in release:
            raise KbuildError("its headers are gone")
        return judged(release)(release)

    assert hold(judge) == 1
    assert system.held == [OTHER]
    assert f"{META}: 6.1.0-9-amd64 cannot be judged: its headers are gone" in capsys.readouterr().err


def test_a_kernel_that_was_installed_meanwhile_needs_no_hold(system: System, monkeypatch: pytest.MonkeyPatch) -> None:
    assert hold(judged("6.1.0-9-amd64")) == 1
    here = {"6.1.0-9-amd64": Path("/none"), "6.1.0-9-cloud-amd64": Path("/none")}
    monkeypatch.setattr(preflight_hold, "installed_images", lambda: here)
    assert hold(judged()) == 0
    assert (system.held, system.ours) == ([], [])


def test_it_is_written_down_before_it_is_held(system: System) -> None:
    system.program("apt-mark", f"[ $1 = showhold ] && cat {system.place}/held")
    with pytest.raises(KbuildError, match="apt-mark hold"):
        hold(judged("6.1.0-9-amd64"))
    assert system.ours == [f"{META} 6.1.0-9-amd64"]
