# SPDX-License-Identifier: GPL-2.0-only
"""What `kbuildpy info` says of imports that a kernel does not satisfy."""

from __future__ import annotations

import os
from argparse import Namespace
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from kbuildpy.cli import info
from kbuildpy.elf.constants import STB_WEAK
from kbuildpy.info.report import ModuleInfo, inspect
from kbuildpy.info.symbols import Import
from kbuildpy.info.text import as_text
from kbuildpy.loader.kernel import KernelExport, LoaderKernel
from tests.support.elf_objects import Sym, elf_object

EXPORTS = {
    "free": KernelExport("", 0x1234, False, ""),
    "gpl": KernelExport("usbcore", None, True, ""),
    "spaced": KernelExport("", None, False, "SPACE"),
}


@dataclass(frozen=True)
class Exports:
    """A kernel's exports, by name."""

    def find(self, symbol: str) -> KernelExport | None:
        """The export called `symbol`."""
        return EXPORTS.get(symbol)


def told(*symbols: Sym, modinfo: bytes = b"name=a\0license=GPL\0") -> ModuleInfo:
    kernel = LoaderKernel("6.1.0-x", (6, 1), "x86_64", exports=Exports())
    return inspect(elf_object([], symbols, modinfo=modinfo), "a.ko", kernel)


def test_knows_the_owner_of_each_import_and_whether_it_is_weak() -> None:
    info = told(Sym("gpl", 0), Sym("free", 0), Sym("gone", 0, bind=STB_WEAK), Sym("own", 1))
    assert info.imports == (
        Import("free", None, False, "vmlinux", "", False, 0x1234),
        Import("gone", None, True, "", None, None, None),
        Import("gpl", None, False, "usbcore", "", True, None),
    )
    assert "3, in 6.1.0-x: 1 of vmlinux, 1 of nobody, 1 of usbcore" in as_text(info)


@pytest.mark.parametrize(
    ("symbol", "modinfo", "problem"),
    [
        ("gone", b"", "gone: not exported by 6.1.0-x and its modules"),
        ("gone", b"depends=other-one\0", "it may be of other-one, which the module depends on"),
        ("spaced", b"", "spaced: is in the namespace SPACE, which the module does not import"),
        ("spaced", b"import_ns=SPACE\0", ""),
        ("gpl", b"license=Proprietary\0", "gpl: is for GPL-compatible modules only"),
        ("gpl", b"license=GPL\0", ""),
        ("free", b"license=Proprietary\0", ""),
    ],
)
def test_says_what_stands_in_the_way_of_an_import(symbol: str, modinfo: bytes, problem: str) -> None:
    said = as_text(told(Sym(symbol, 0), modinfo=b"name=a\0" + modinfo))
    assert problem in said
    assert problem or not any(f"{symbol}:" in line for line in said.splitlines())


def test_a_weak_symbol_that_nobody_exports_and_a_version_that_is_the_same_are_no_problem() -> None:
    info = told(Sym("gone", 0, bind=STB_WEAK), Sym("free", 0))
    assert "gone:" not in as_text(info) and "free:" not in as_text(info)
    [free, gone] = info.imports
    same, other = (
        replace(info, imports=(free._replace(crc=0x1234), gone)),
        replace(info, imports=(free._replace(crc=1),)),
    )
    assert "free:" not in as_text(same)
    assert "free: version 0x00000001, and 6.1.0-x has 0x00001234" in as_text(other)


@pytest.mark.parametrize(
    ("environ", "release"), [({}, "running"), ({"KDIR": "/tree"}, "chosen"), ({"KERNELRELEASE": "6.1"}, "chosen")]
)
def test_names_mean_modules_of_the_kernel_that_the_environment_names(
    environ: dict[str, str], release: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("KDIR", "KERNELRELEASE"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    for name in ("running", "chosen"):
        (tmp_path / name).mkdir()
    monkeypatch.setattr(os, "uname", lambda: SimpleNamespace(release="running"))
    monkeypatch.setattr(info, "modules_directory", lambda release: tmp_path / release if release else None)
    monkeypatch.setattr(info, "resolve_one", lambda *_, **__: SimpleNamespace(release="chosen"))
    kernels = info._Kernels(Namespace(kernels=[], field="filename", null=False))
    assert kernels.own_modules.directory == tmp_path / release
