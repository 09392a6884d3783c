# SPDX-License-Identifier: GPL-2.0-only
"""`kbuildpy kernels`, over trees that are only as real as the command needs."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path

import pytest

from kbuildpy.cli import kernels, main
from kbuildpy.cli.kernels_table import aligned
from kbuildpy.kernel.find import installed_trees
from kbuildpy.kernel.resolve import resolve_one
from tests.support.documents import json_keys
from tests.support.fake_trees import fake_tree

PC = "CONFIG_X86=y\nCONFIG_64BIT=y\n"


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine that runs 6.1 on an x86_64 processor, with headers of 6.1 and 6.12."""
    monkeypatch.setattr(kernels, "installed_trees", partial(installed_trees, tmp_path))
    monkeypatch.setattr(kernels, "resolve_one", partial(resolve_one, root=tmp_path, running="6.1.0-1-amd64"))
    monkeypatch.setenv("KBUILDPY_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("KDIR", raising=False)
    monkeypatch.delenv("KERNELRELEASE", raising=False)
    monkeypatch.delenv("CROSS_COMPILE", raising=False)
    signed = f'{PC}CONFIG_MODULE_SIG=y\nCONFIG_MODULE_SIG_HASH="sha256"\nCONFIG_MODVERSIONS=y\n'
    objects = fake_tree(tmp_path / "usr/src/linux-headers-6.1.0-1-amd64", "6.1.0-1-amd64", config=signed)
    (objects / ".kernelvariables").write_text("CC = $(CROSS_COMPILE)gcc-77\noverride CROSS_COMPILE = none-\n")
    fake_tree(tmp_path / "usr/src/linux-headers-6.12.0-1-amd64", "6.12.0-1-amd64", config=PC)
    return tmp_path


def test_prints_one_aligned_line_for_each_tree(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["kernels"]) == 0
    heading, old, new = capsys.readouterr().out.splitlines()
    for column, cells in {
        "RELEASE": ("6.1.0-1-amd64 ", "6.12.0-1-amd64 "),
        "ARCH": ("x86_64 ", "x86_64 "),
        "COMPILER": ("missing: none-gcc-77 ", ""),
        "MODVERSIONS": ("yes ", "no "),
        "SIGNATURES": ("optional sha256 ", "none "),
        "BTF": ("no ", "no "),
        "COMPLETE": ("no Module.symvers, fixdep, modpost, genksyms, module.lds ", "no Module.symvers, "),
        "PATH": (f"{root}/usr/src/linux-headers-6.1.0-1-amd64", f"{root}/usr/src/linux-headers-6.12.0-1-amd64"),
    }.items():
        start = heading.index(column)
        assert old[start:].startswith(cells[0])
        assert new[start:].startswith(cells[1])


def test_marks_the_default_tree_and_says_why_on_standard_error(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["kernels"])
    printed = capsys.readouterr()
    assert [line.split()[:2] for line in printed.out.splitlines() if line.startswith("*")] == [["*", "6.1.0-1-amd64"]]
    assert printed.err == "* default: It is the running kernel's (6.1.0-1-amd64).\n"


def test_lists_the_tree_that_kdir_names_too(
    root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("KDIR", str(fake_tree(root / "linux", "7.0.0")))
    main(["kernels"])
    printed = capsys.readouterr()
    assert printed.out.splitlines()[-1].startswith("*  7.0.0")
    assert printed.err == f"* default: KDIR names {root / 'linux'}.\n"


def test_lists_the_others_when_kdir_leads_nowhere(
    root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("KDIR", "/nowhere")
    assert main(["kernels"]) == 0
    printed = capsys.readouterr()
    assert len(printed.out.splitlines()) == 3
    assert "no default: /nowhere: no such directory" in printed.err


def test_json_is_one_object_per_line_and_nothing_else(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["kernels", "--format", "json"])
    old, new = map(json.loads, capsys.readouterr().out.splitlines())
    assert (old["release"], old["default"], new["release"], new["default"]) == (
        "6.1.0-1-amd64",
        True,
        "6.12.0-1-amd64",
        False,
    )
    assert old["path"] == str(root / "usr/src/linux-headers-6.1.0-1-amd64")
    assert (old["compiler"], old["compiler_installed"]) == ("none-gcc-77", False)
    assert (old["signatures_verified"], old["signatures_required"], old["signature_hash"]) == (True, False, "sha256")
    assert (old["complete"], old["missing"][0]) == (False, "Module.symvers")
    assert old.keys() == new.keys() == json_keys("kbuildpy kernels")


def test_a_broken_tree_is_listed_with_what_is_wrong(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    broken = root / "usr/src/linux-headers-6.12.0-1-amd64"
    (broken / "Makefile").write_text("include /gone/Makefile\n")
    assert main(["kernels", "--format", "json"]) == 0
    printed = capsys.readouterr()
    last = json.loads(printed.out.splitlines()[-1])
    assert last["path"] == str(broken)
    assert "source part of the kernel tree is missing" in last["error"]
    assert f"cannot use {broken}" in printed.err


def test_says_what_to_install_when_there_is_no_tree(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(kernels, "installed_trees", partial(installed_trees, tmp_path))
    monkeypatch.setattr(kernels, "resolve_one", partial(resolve_one, root=tmp_path))
    monkeypatch.setenv("KBUILDPY_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("KDIR", raising=False)
    monkeypatch.delenv("KERNELRELEASE", raising=False)
    assert main(["kernels", "--format", "json"]) == 1
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith("kbuildpy: error: no kernel tree found")


def test_gives_the_path_a_line_of_its_own_on_a_narrow_terminal() -> None:
    rows = [("", "RELEASE", "PATH"), ("*", "6.1", "/usr/src/linux")]
    assert aligned(rows, width=80) == ["   RELEASE  PATH", "*  6.1      /usr/src/linux"]
    assert aligned(rows, width=20) == ["   RELEASE", "*  6.1", "     /usr/src/linux"]
