# SPDX-License-Identifier: GPL-2.0-only
"""A kernel image says which machine it is for."""

from __future__ import annotations

import gzip
import struct
from pathlib import Path

import pytest

from kbuildpy.errors import KbuildError
from kbuildpy.kernel.architecture import Architecture
from kbuildpy.vm.machine import (
    ARM,
    ARM64,
    I386,
    MACHINES,
    POWERPC,
    S390,
    X86_64,
    Machine,
    machine_for,
    machine_of_image,
    machine_of_release,
)


def image_for(machine: Machine) -> bytes:
    """The beginning of a kernel image."""
    known = machine.architecture
    if not known.boot_magic:
        ident = b"\x7fELF" + bytes([known.bits // 32, 1 if known.order == "<" else 2, 1])
        return ident.ljust(16, b"\0") + struct.pack(f"{known.order}HH", 2, known.elf_machine) + bytes(100)
    image = bytearray(b"MZ".ljust(known.boot_offset, b"\0") + known.boot_magic + bytes(100))
    if machine == X86_64:
        image[0x236] = 1  # XLF_KERNEL_64
    return bytes(image)


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
    with pytest.raises(
        KbuildError, match="file: not an image of a kernel for x86_64, i386, arm64, arm, riscv, powerpc or s390"
    ):
        machine_of_image(tmp_path / "file")


def test_an_architecture_has_a_machine_or_is_refused() -> None:
    assert machine_for(Architecture("x86", "x86", 64)) == X86_64
    assert machine_for(Architecture("arm64", "arm64", 64)) == ARM64
    assert machine_for(Architecture("i386", "x86", 32)) == I386
    assert machine_for(Architecture("s390", "s390", 64)) == S390
    with pytest.raises(KbuildError, match="cannot boot kernels of loongarch: only x86_64, i386, arm64, arm, riscv"):
        machine_for(Architecture("loongarch", "loongarch", 64))


@pytest.mark.parametrize(
    ("release", "machine"),
    [
        ("6.12.117+deb12-arm64", ARM64),
        ("6.1.0-50-686-pae", I386),
        ("6.1.0-50-armmp", ARM),
        ("6.1.0-50-armmp-lpae", ARM),
        ("6.1.0-50-powerpc64le", POWERPC),
        ("6.1.0-50-s390x", S390),
        ("6.1.0", None),
        ("6.1.0-armmp-mine", None),
    ],
)
def test_debians_releases_end_with_a_word_for_the_machine(release: str, machine: Machine | None) -> None:
    assert machine_of_release(release) == machine
