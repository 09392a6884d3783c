# SPDX-License-Identifier: GPL-2.0-only
"""`kbuildpy package` without -k and --cert: for which kernel, and what is said of signatures."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from tests.support.builds import kbuildpy
from tests.support.command_line import Called, call
from tests.support.elf_objects import elf_object
from tests.support.kbuild_sources import module, write_sources
from tests.support.kernel_trees import trees

pytestmark = [pytest.mark.parity, pytest.mark.skipif(shutil.which("xz") is None, reason="xz is missing")]

UNNAMED = {"KDIR": "", "KERNELRELEASE": ""}


def package(*words: str | Path, cwd: Path) -> Called:
    """`kbuildpy package tar`, whose kernel nobody names but `words`."""
    wanted = ("--version", "1", "--compression", "xz", "--format", "json")
    return call("package", "tar", *words, *wanted, cwd=cwd, **UNNAMED)


def test_without_a_kernel_it_is_the_one_that_the_modules_were_built_for(tmp_path: Path) -> None:
    here = trees()
    if len(here) < 2:
        pytest.skip("takes the headers of two kernels")
    write_sources({"Kbuild": "obj-m := drv.o\n", "drv.c": module()}, tmp_path / "drv")
    older, newer = sorted(here, key=lambda tree: tree.version)[:: len(here) - 1]
    assert kbuildpy("build", tmp_path / "drv", "-k", older.objects).returncode == 0
    done = package(tmp_path / "drv/build", cwd=tmp_path)
    assert done.returncode == 0 and "the modules are signed" not in done.error_text, done.error_text
    assert f"The modules were built for {older.release}, so the package is for that kernel." in done.error_text
    assert json.loads(done.text)["kernel"] == older.release
    modinfo = f"name=other\0license=GPL\0vermagic={newer.release} SMP\0".encode()
    (tmp_path / "drv/build/other.ko").write_bytes(elf_object([], [], modinfo=modinfo))
    said = package(tmp_path / "drv/build", cwd=tmp_path).error_text
    assert f"only modules for {newer.release} are packaged, not those for {older.release}" in said


def test_modules_for_several_kernels_and_not_for_the_default_one_are_asked_about(tmp_path: Path) -> None:
    for release in ("6.66.1-one", "6.66.2-two"):
        modinfo = f"name=a\0license=GPL\0vermagic={release} SMP\0".encode()
        (tmp_path / f"{release}.ko").write_bytes(elf_object([], [], modinfo=modinfo))
    done = package(".", cwd=tmp_path)
    assert done.returncode == 2 and "built for 6.66.1-one, 6.66.2-two\n" in done.error_text
    assert "-k 6.66.1-one -k 6.66.2-two" in done.error_text
    (tmp_path / "6.66.2-two.ko").unlink()
    done = package(".", cwd=tmp_path)
    assert done.returncode == 2 and "no kernel 6.66.1-one is installed" in done.error_text


def test_signatures_that_are_not_checked_are_told_early(tmp_path: Path) -> None:
    tree = trees()[-1]
    write_sources({"Kbuild": "obj-m := drv.o\n", "drv.c": module()}, tmp_path / "drv")
    assert kbuildpy("build", tmp_path / "drv", "-k", tree.objects).returncode == 0
    assert call("keygen", "-q", "-a", "rsa-2048", "key.pem", cwd=tmp_path).returncode == 0
    key = ("--key", "key.pem", "--cert", "key.crt", "--hash", "sha256")
    assert call("sign", "drv/build", *key, cwd=tmp_path).returncode == 0
    told = "the modules are signed, and no certificate is named: --cert FILE"
    assert told in package("drv", "-k", str(tree.objects), cwd=tmp_path).error_text
    for words, status in ((("--cert", "key.crt"), 0), (("--require-signature",), 1)):
        done = package("drv", "-k", str(tree.objects), *words, cwd=tmp_path)
        assert done.returncode == status and told not in done.error_text, done.error_text
