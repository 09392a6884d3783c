# SPDX-License-Identifier: GPL-2.0-only
"""`kbuildpy run` says what it lacks before it downloads anything."""

from __future__ import annotations

from pathlib import Path

from tests.support.command_line import call
from tests.support.elf_objects import elf_object

RELEASE = "6.1.0-99-amd64"


def test_a_missing_qemu_is_named_before_a_kernel_is_fetched(tmp_path: Path) -> None:
    modinfo = f"name=a\0license=GPL\0vermagic={RELEASE} SMP mod_unload\0".encode()
    (tmp_path / "a.ko").write_bytes(elf_object([], [], modinfo=modinfo))
    programs, asked = tmp_path / "bin", tmp_path / "asked"
    programs.mkdir()
    for name in ("apt-get", "apt-cache"):
        (programs / name).write_text(f"#!/bin/sh\n: > {asked}\nexit 1\n")
        (programs / name).chmod(0o755)
    environment = {"PATH": str(programs), "KBUILDPY_CACHE": str(tmp_path / "cache"), "KDIR": "", "KERNELRELEASE": ""}
    for words in ((), ("-k", RELEASE)):
        done = call("run", "a.ko", *words, cwd=tmp_path, **environment)
        assert not asked.exists(), done.error_text
        assert done.returncode == 1 and "qemu-system-x86_64: program" in done.error_text
        assert "qemu-system-x86" in done.error_text.splitlines()[-1]
