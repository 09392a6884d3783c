# SPDX-License-Identifier: GPL-2.0-only
"""The kernel inside an image starts in its place, where it can."""

from __future__ import annotations

import gzip
import lzma
import os
import shutil
import struct
from pathlib import Path

import pytest

from kbuildpy.kernel.architecture import architecture_of
from kbuildpy.kernel.image import unpack
from kbuildpy.vm.direct import direct_kernel
from kbuildpy.vm.initramfs import make_initramfs
from kbuildpy.vm.machine import machine_for
from kbuildpy.vm.qemu import boot
from tests.support.guest_kernels import image_of, tree_called

PANICS = ("rdinit=/no-such-init", "root=/dev/none")


@pytest.fixture(autouse=True)
def own_cache(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A cache directory that only this test sees; what is booted comes from the usual one."""
    if request.node.get_closest_marker("vm") is None:
        monkeypatch.setenv("KBUILDPY_CACHE", str(tmp_path / "cache"))


def vmlinux(note: int) -> bytes:
    """An ELF file with a note of Xen's in it."""
    notes = struct.pack("<III", 4, 4, note) + b"Xen\0" + bytes(4)
    names = b"\0.notes\0.shstrtab\0"
    headers = [
        bytes(64),
        struct.pack("<IIQQQQIIQQ", 1, 7, 2, 0, 64, len(notes), 0, 0, 4, 0),
        struct.pack("<IIQQQQIIQQ", 8, 3, 0, 0, 64 + len(notes), len(names), 0, 0, 1, 0),
    ]
    start = 64 + len(notes) + len(names)
    header = b"\x7fELF\2\1\1" + bytes(9) + struct.pack("<HHIQQQIHHHHHH", 2, 62, 1, 0, 0, start, 0, 64, 0, 0, 64, 3, 2)
    return header + notes + names + b"".join(headers)


def bzimage(kernel: bytes) -> bytes:
    """An image with `kernel` packed in it (Documentation/arch/x86/boot.rst)."""
    packed = gzip.compress(kernel)
    setup = bytearray(1024)
    setup[0x1F1] = 1
    setup[0x202:0x206] = b"HdrS"
    struct.pack_into("<II", setup, 0x248, 0, len(packed))
    return bytes(setup) + packed


def image(place: Path, contents: bytes) -> Path:
    place.joinpath("vmlinuz").write_bytes(contents)
    return place / "vmlinuz"


def test_a_kernel_that_can_be_started_directly_is_unpacked_once(tmp_path: Path) -> None:
    kernel = vmlinux(18)
    found = direct_kernel(image(tmp_path, bzimage(kernel)))
    assert found.read_bytes() == kernel
    before = found.stat().st_ino
    assert direct_kernel(tmp_path / "vmlinuz") == found
    assert found.stat().st_ino == before


def test_another_image_of_the_same_name_is_another_kernel(tmp_path: Path) -> None:
    first = direct_kernel(image(tmp_path, bzimage(vmlinux(18))))
    assert direct_kernel(image(tmp_path, bzimage(vmlinux(18) + b"more"))).read_bytes() != first.read_bytes()


@pytest.mark.parametrize(
    "contents",
    [
        *(bzimage(vmlinux(17)), bzimage(b"no ELF file"), bzimage(vmlinux(18))[:-20], vmlinux(18), b""),
        bzimage(vmlinux(18) + b"kasan_multi_shot\0"),
    ],
)
def test_an_image_that_cannot_be_started_directly_starts_as_it_is(contents: bytes, tmp_path: Path) -> None:
    assert direct_kernel(image(tmp_path, contents)) == tmp_path / "vmlinuz"
    assert direct_kernel(tmp_path / "vmlinuz") == tmp_path / "vmlinuz"


def test_a_cache_that_cannot_be_written_is_no_reason_to_fail(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache/vmlinux").write_text("no directory")
    assert direct_kernel(image(tmp_path, bzimage(vmlinux(18)))) == tmp_path / "vmlinuz"


def test_the_cache_keeps_those_that_were_booted_last(tmp_path: Path) -> None:
    found = [direct_kernel(image(tmp_path, bzimage(vmlinux(18) + bytes([number])))) for number in range(9)]
    assert [kernel.exists() for kernel in found] == [False, *[True] * 8]


@pytest.mark.vm
@pytest.mark.skipif(
    os.uname().machine != "x86_64" or shutil.which("qemu-system-x86_64") is None,
    reason="boots x86-64 kernels in QEMU",
)
@pytest.mark.sweep
@pytest.mark.parametrize("line", ["6.12", "6.1"])
def test_it_is_the_same_kernel_that_starts(line: str) -> None:
    kernel = image_of(tree_called(line))
    assert direct_kernel(kernel) != kernel
    direct, unpacked = (
        boot(kernel, make_initramfs({}), parameters=PANICS, timeout=300, directly=directly)
        for directly in (True, False)
    )
    versions = [[text for text in booted.log if text.startswith("Linux version ")] for booted in (direct, unpacked)]
    assert len(versions[0]) == 1 and versions[0] == versions[1]
    for booted in (direct, unpacked):
        assert any(text.startswith("Kernel panic - not syncing: ") for text in booted.log)


@pytest.mark.vm
@pytest.mark.sweep
@pytest.mark.parametrize("form", ["Image", "Image.gz", "Image.xz", "vmlinuz.efi"])
@pytest.mark.parametrize("name", ["arm64", "riscv64"])
def test_a_kernel_starts_out_of_every_form_of_its_image(name: str, form: str, tmp_path: Path) -> None:
    tree = tree_called(f"6.12-{name}")
    if shutil.which(machine_for(architecture_of(tree)).qemu) is None:
        pytest.skip("boots such kernels in QEMU")
    kernel = unpack(image_of(tree).read_bytes())
    packed = {"Image": kernel, "Image.xz": lzma.compress(kernel, preset=0)}.get(form) or gzip.compress(kernel, 1)
    if form == "vmlinuz.efi":
        packed = b"MZ\0\0zimg" + struct.pack("<II", 64, len(packed)) + bytes(48) + packed
    place = image(tmp_path, packed)
    booted = boot(place, make_initramfs({}), parameters=PANICS, timeout=300)
    assert len([text for text in booted.log if text.startswith("Linux version ")]) == 1
    assert any(text.startswith("Kernel panic - not syncing: ") for text in booted.log)
    assert any(text.startswith("earlycon: ") for text in booted.log)
