# SPDX-License-Identifier: GPL-2.0-only
"""A kernel image says which machine it is for."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from kbuildpy.errors import KbuildError
from kbuildpy.kernel.architecture import Architecture
from kbuildpy.vm.machine import ARM64, MACHINES, X86_64, Machine, machine_for, machine_of_image


def image_for(machine: Machine) -> bytes:
    """The beginning of a kernel image."""
    return b"MZ".ljust(machine.architecture.boot_offset, b"\0") + machine.architecture.boot_magic + bytes(100)


@pytest.mark.parametrize("machine", MACHINES, ids=lambda machine: machine.name)
def test_the_boot_protocols_magic_number_tells_the_machine(machine: Machine, tmp_path: Path) -> None:
    (tmp_path / "vmlinuz").write_bytes(image_for(machine))
    assert machine_of_image(tmp_path / "vmlinuz") == machine


def test_a_compressed_image_is_looked_into(tmp_path: Path) -> None:
    (tmp_path / "Image.gz").write_bytes(gzip.compress(image_for(ARM64) + bytes(1 << 20)))
    assert machine_of_image(tmp_path / "Image.gz") == ARM64


@pytest.mark.parametrize("contents", [b"", b"\x7fELF", b"\x1f\x8b not compressed at all"])
def test_refuses_what_is_no_kernel_image(contents: bytes, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(contents)
    with pytest.raises(KbuildError, match="file: not an image of a kernel for x86_64, arm64 or riscv"):
        machine_of_image(tmp_path / "file")


def test_an_architecture_has_a_machine_or_is_refused() -> None:
    assert machine_for(Architecture("x86", "x86", 64)) == X86_64
    assert machine_for(Architecture("arm64", "arm64", 64)) == ARM64
    with pytest.raises(KbuildError, match="cannot boot kernels of s390: only x86_64, arm64 or riscv"):
        machine_for(Architecture("s390", "s390", 64))
