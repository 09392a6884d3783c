# SPDX-License-Identifier: GPL-2.0-only
"""`run --with` before anything is built: which directory a module is of, and calls that are refused."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace

import pytest

from kbuildpy.cli import main, run_with
from kbuildpy.errors import KbuildError, UsageError
from kbuildpy.kernel_build.wanted import Wanted
from kbuildpy.vm.machine import MACHINES


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory with a Kbuild file and two modules that were built of it; what it is built to is only said."""
    found = tmp_path / "drv"
    (found / "build/6.1.0-1").mkdir(parents=True)
    (found / "Kbuild").touch()
    for name in ("one", "two"):
        (found / f"build/6.1.0-1/{name}.ko").touch()

    def build(directory: Path, kernels: Sequence[str], *, quiet: bool) -> list[Path]:
        return [directory / "build" / kernels[0] / f"{name}.ko" for name in ("one", "two")]

    monkeypatch.setattr(run_with, "_build", build)
    monkeypatch.setattr(run_with, "images_of", lambda files: ())
    monkeypatch.setattr(run_with, "line_of", lambda words: words[0].rpartition(".")[0] if words else "6.12")
    return found


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[Wanted]:
    """The kernels that are asked for."""
    found: list[Wanted] = []

    def make(wanted: Wanted, *, quiet: bool) -> tuple[object, object]:
        found.append(wanted)
        return None, SimpleNamespace(release=f"{wanted.line}.9-{'-'.join(wanted.sets)}")

    monkeypatch.setattr(run_with, "make_kernel", make)
    for name in (next(machine.qemu for machine in MACHINES if machine.native), "busybox"):
        (tmp_path / name).touch(mode=0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    return found


def prepared(files: Sequence[Path], *kernels: str, sets: str = "kasan") -> run_with.Prepared:
    return run_with.prepare(files, kernels, [sets], llvm="", update=False, quiet=True)


def test_all_modules_of_a_directory_are_built_for_the_kernel(project: Path, asked: list[Wanted]) -> None:
    found = prepared([project], sets="kasan,lockdep")
    assert found.files == [project / f"build/6.12.9-kasan-lockdep/{name}.ko" for name in ("one", "two")]
    assert (found.kernels, found.append) == (["6.12.9-kasan-lockdep"], ("kasan_multi_shot",))
    assert [(wanted.line, wanted.sets) for wanted in asked] == [("6.12", ["kasan", "lockdep"])]


def test_what_a_guest_takes_is_looked_for_before_a_kernel_is_built(
    project: Path, asked: list[Wanted], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "empty").mkdir()
    monkeypatch.setenv("PATH", str(tmp_path / "empty"))
    with pytest.raises(KbuildError, match=r"^busybox and qemu-system-\S+: programs not found\n") as caught:
        prepared([project])
    assert caught.value.hint.startswith("apt-get install busybox-static qemu-system-")
    # (and in the same line what the kernel takes)
    assert {"bc", "bison", "flex", "make"} <= {*caught.value.hint.split()}
    assert asked == []


def test_a_misspelt_set_is_told_before_what_is_missing(
    project: Path, asked: list[Wanted], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path / "empty"))
    with pytest.raises(UsageError, match="--with kasna: no such set of options") as caught:
        prepared([project], sets="kasna")
    assert caught.value.hint == "did you mean kasan?" and asked == []


def test_of_modules_that_are_named_only_these_run(project: Path, asked: list[Wanted]) -> None:
    found = prepared([project / "build/6.1.0-1/two.ko"])
    assert [file.name for file in found.files] == ["two.ko"]
    both = prepared([project / "build/6.1.0-1/two.ko", project])
    assert [file.name for file in both.files] == ["one.ko", "two.ko"]


def test_kernels_of_one_line_are_one_kernel(project: Path, asked: list[Wanted]) -> None:
    found = prepared([project], "6.1.0", "6.1.3", "6.12.1")
    assert found.kernels == ["6.1.9-kasan", "6.12.9-kasan"] and len(asked) == 2


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["nothing.ko", "--with", "kasan"], "nothing.ko: no such file or directory"),
        (["lone.ko", "--with", "kasan"], "there is no Kbuild file of this one"),
        ([".", "--with", "kasan"], "no Kbuild file here"),
        (["lone.ko", "--with", "kasan,"], "--with: an empty name"),
        (["lone.ko", "--llvm=-16"], "--llvm and --update belong to --with"),
        (["lone.ko", "--with", "kasan", "--coverage"], "one of them at a time"),
    ],
)
def test_a_call_that_cannot_be_done_is_refused(
    words: list[str], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def nothing_is_installed(*_: object, **__: object) -> None:
        raise KbuildError("QEMU is missing")

    (tmp_path / "lone.ko").touch()
    monkeypatch.chdir(tmp_path)
    # (a wrong call is told before what a right one would take)
    monkeypatch.setattr("kbuildpy.cli.run_with.require_programs", nothing_is_installed)
    assert main(["run", *words]) == 2
    assert said in capsys.readouterr().err
