# SPDX-License-Identifier: GPL-2.0-only
"""What goes into the guest: our archive is read by the program cpio as we meant it."""

from __future__ import annotations

import os
import shutil
import stat
from pathlib import Path

import pytest

from kbuildpy.errors import KbuildError
from kbuildpy.run import run
from kbuildpy.vm import cpio
from kbuildpy.vm.initramfs import find_busybox, make_initramfs

needs_cpio = pytest.mark.skipif(shutil.which("cpio") is None, reason="cpio is not installed")


@needs_cpio
def test_cpio_unpacks_what_we_packed(tmp_path: Path) -> None:
    archive = cpio.archive(
        [
            cpio.file("a/b/odd", b"123"),
            cpio.file("a/empty", b""),
            cpio.file("run", b"#!/bin/sh\n", executable=True),
            cpio.symlink("a/link", "b/odd"),
            cpio.directory("proc"),
        ]
    )
    run(["cpio", "--extract", "--quiet"], cwd=tmp_path, input=archive)
    assert (tmp_path / "a/b/odd").read_bytes() == b"123"
    assert (tmp_path / "a/empty").read_bytes() == b""
    assert (tmp_path / "a/link").readlink() == Path("b/odd")
    assert stat.S_IMODE((tmp_path / "run").stat().st_mode) == 0o755
    assert not list((tmp_path / "proc").iterdir())


@needs_cpio
def test_cpio_lists_a_device_with_its_numbers() -> None:
    listing = run(["cpio", "--list", "--verbose", "--quiet"], input=cpio.archive([cpio.character_device("null", 1, 3)]))
    assert listing.text.startswith("crw-------")
    assert " 1,   3 " in listing.text


def test_a_directory_comes_before_what_is_in_it() -> None:
    archive = cpio.archive([cpio.file("a/b/c", b"")])
    assert archive.index(b"a\0") < archive.index(b"a/b\0") < archive.index(b"a/b/c\0")


def test_the_same_files_make_the_same_bytes(tmp_path: Path) -> None:
    busybox = tmp_path / "busybox"
    busybox.write_bytes(b"binary")
    first = make_initramfs({"modules/a.ko": b"a", "modules/b.ko": b"b"}, busybox=busybox)
    os.utime(busybox, (0, 0))
    assert make_initramfs({"modules/b.ko": b"b", "modules/a.ko": b"a"}, busybox=busybox) == first


def test_a_busybox_that_needs_shared_libraries_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dynamic = shutil.which("sh")
    assert dynamic
    (tmp_path / "busybox").symlink_to(dynamic)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(KbuildError, match="linked dynamically") as refusal:
        find_busybox()
    assert "busybox-static" in refusal.value.hint


def test_a_missing_busybox_is_named_with_its_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(KbuildError, match="busybox: program not found") as refusal:
        find_busybox()
    assert "busybox-static" in refusal.value.hint
