# SPDX-License-Identifier: GPL-2.0-only
"""The image in a kernel tree that was built here, and one that does not belong there."""

from __future__ import annotations

import gzip
import lzma
import struct
from pathlib import Path

import pytest

from kbuildpy.errors import KbuildError
from kbuildpy.kernel.chosen import Need
from kbuildpy.kernel.find_image import ForeignImage, image_of_tree
from kbuildpy.kernel.image import read_kernel, release_without_unpacking
from kbuildpy.kernel.open_tree import open_tree
from kbuildpy.kernel.resolve import resolve
from kbuildpy.kernel.tree import KernelTree
from kbuildpy.vm.direct import unpacked_kernel
from kbuildpy.vm.machine import ARM64, RISCV, X86_64, machine_of_image
from tests.support.fake_trees import fake_tree

RELEASE = "6.12.9-mine"
BANNER = f"Linux version {RELEASE} (me@here) #1".encode()
IMAGE = bytes(56) + b"ARM\x64" + bytes(200) + BANNER
X86 = "CONFIG_X86=y\nCONFIG_64BIT=y\n"
ARM = "CONFIG_ARM64=y\nCONFIG_64BIT=y\n"


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A cache directory that only this test sees."""
    monkeypatch.setenv("KBUILDPY_CACHE", str(tmp_path / "cache"))


def bzimage(release: str) -> bytes:
    """An image with a header alone (Documentation/arch/x86/boot.rst: kernel_version)."""
    header = bytearray(0x400)
    header[0x202:0x206] = b"HdrS"
    struct.pack_into("<H", header, 0x20E, 0x100)
    header[0x236] = 1  # (xloadflags: a kernel of 64 bits)
    text = f"{release} (me@here) #1 SMP\0".encode()
    header[0x300 : 0x300 + len(text)] = text
    return bytes(header)


def zboot(image: bytes) -> bytes:
    """A vmlinuz.efi (drivers/firmware/efi/libstub/zboot-header.S)."""
    packed = gzip.compress(image)
    return b"MZ\0\0zimg" + struct.pack("<II", 64, len(packed)) + bytes(48) + packed


def searched(offset: int, magic: bytes) -> bytes:
    """An image for arm or s390 (arch/*/boot/): its kernel is somewhere behind what looks like one."""
    decoys = b"\xfd7zXZ\0 is how one begins" + gzip.compress(b"no kernel") + b"\x1f\x8b\x08\0"
    return bytes(offset) + magic + bytes(100) + decoys + lzma.compress(b"code" + BANNER) + struct.pack("<I", 99)


def tree(place: Path, config: str, files: dict[str, bytes]) -> KernelTree:
    built = fake_tree(place, RELEASE, config=config)
    for name, contents in files.items():
        (built / name).parent.mkdir(parents=True, exist_ok=True)
        (built / name).write_bytes(contents)
    return open_tree(built)


@pytest.mark.parametrize(
    ("config", "name", "contents"),
    [
        (X86, "arch/x86/boot/bzImage", bzimage(RELEASE)),
        (X86, "vmlinux", b"\x7fELF" + bytes(100) + BANNER),
        (ARM, "arch/arm64/boot/Image", IMAGE),
        (ARM, "arch/arm64/boot/Image.gz", gzip.compress(IMAGE)),
        (ARM, "arch/arm64/boot/Image.xz", lzma.compress(IMAGE)),
        (ARM, "arch/arm64/boot/vmlinuz.efi", zboot(IMAGE)),
    ],
    ids=["bzImage", "vmlinux", "Image", "Image.gz", "Image.xz", "vmlinuz.efi"],
)
def test_the_image_that_was_built_in_a_tree_is_its_own(tmp_path: Path, config: str, name: str, contents: bytes) -> None:
    built = tree(tmp_path / "tree", config, {name: contents})
    assert image_of_tree(built, root=tmp_path / "none") == built.objects / name


def test_a_vmlinux_with_type_information_only_is_no_image(tmp_path: Path) -> None:
    packaged = tree(tmp_path / "tree", X86, {"vmlinux": b"\x7fELF" + bytes(5000)})
    with pytest.raises(KbuildError, match=f"there is no image of kernel {RELEASE}"):
        image_of_tree(packaged, root=tmp_path / "none")


@pytest.mark.parametrize(
    ("config", "name", "contents"),
    [
        (X86, "arch/x86/boot/bzImage", bzimage("6.12.8-mine")),
        (ARM, "arch/arm64/boot/Image", IMAGE.replace(b"6.12.9", b"6.12.8")),
    ],
    ids=["bzImage", "Image"],
)
def test_an_image_of_an_earlier_configuration_is_refused(
    tmp_path: Path, config: str, name: str, contents: bytes
) -> None:
    stale = tree(tmp_path / "tree", config, {name: contents, "init/main.c": b""})
    with pytest.raises(ForeignImage, match=r"an image of 6\.12\.8-mine, but .* is of 6\.12\.9-mine") as refused:
        image_of_tree(stale, root=tmp_path / "none")
    assert refused.value.hint == f"build the image again: make -C {stale.objects} {Path(name).name}"
    with pytest.raises(ForeignImage):
        resolve([str(stale.objects)], Need.IMAGE, root=tmp_path / "none", fetch=lambda release, tree: Path("/never"))


def test_a_tree_with_sources_and_without_an_image_is_told_to_be_built(tmp_path: Path) -> None:
    prepared = tree(tmp_path / "tree", X86, {"init/main.c": b""})
    with pytest.raises(KbuildError, match="was not built: there is no image in the tree") as missing:
        resolve([str(prepared.objects)], Need.IMAGE, root=tmp_path / "none")
    assert missing.value.hint == f"make -C {prepared.objects}"


@pytest.mark.parametrize("contents", [b"", b"\x7fELF", b"no kernel", bzimage("\x1b[31m"), b"Linux version \x1b[31m ("])
def test_a_file_that_is_no_image_has_no_release(tmp_path: Path, contents: bytes) -> None:
    (tmp_path / "file").write_bytes(contents)
    assert release_without_unpacking(tmp_path / "file") == ""


@pytest.mark.parametrize(
    "contents", [zboot(IMAGE), lzma.compress(IMAGE), zboot(zboot(IMAGE))], ids=["zboot", "xz", "twice"]
)
def test_qemu_gets_what_it_cannot_unpack_unpacked(tmp_path: Path, contents: bytes) -> None:
    image = tmp_path / "vmlinuz.efi"
    image.write_bytes(contents)
    assert machine_of_image(image) == ARM64
    kernel = unpacked_kernel(image, ARM64)
    assert kernel.read_bytes() == IMAGE
    assert unpacked_kernel(image, ARM64) == kernel


@pytest.mark.parametrize(("offset", "magic"), [(0x24, b"\x18\x28\x6f\x01"), (0x10008, b"S390EP")])
def test_a_kernel_is_found_where_the_header_does_not_tell(offset: int, magic: bytes, tmp_path: Path) -> None:
    (tmp_path / "image").write_bytes(searched(offset, magic))
    assert read_kernel(tmp_path / "image") == (b"code" + BANNER, RELEASE)
    (tmp_path / "none").write_bytes(bytes(offset) + magic + b"\xfd7zXZ\0" * 1000)
    with pytest.raises(KbuildError, match="not a kernel image"):
        read_kernel(tmp_path / "none")


@pytest.mark.parametrize(
    ("magic", "said", "hint"),
    [
        (b"\x02\x21\x4c\x18", "lz4: program not found", "lz4"),
        (b"\x89LZO\0", "contents compressed with lzo cannot be read here", "lzop -d"),
    ],
)
def test_a_kernel_that_cannot_be_unpacked_here_is_not_called_unknown(
    magic: bytes, said: str, hint: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    image, before = tmp_path / "zImage", bytes(0x24) + b"\x18\x28\x6f\x01" + bytes(100)
    image.write_bytes(before + magic + b"what is packed")
    with pytest.raises(KbuildError, match=f"zImage: {said}") as refused:
        read_kernel(image)
    assert hint in refused.value.hint
    image.write_bytes(before + magic + b"what is packed" + lzma.compress(BANNER))
    assert read_kernel(image).release == RELEASE


def test_qemu_gets_an_image_that_it_unpacks_as_it_is(tmp_path: Path) -> None:
    for name, contents, machine in (("gz", gzip.compress(IMAGE), ARM64), ("bz", bzimage(RELEASE), X86_64)):
        image = tmp_path / name
        image.write_bytes(contents)
        assert (machine_of_image(image), unpacked_kernel(image, machine)) == (machine, image)


def test_qemu_for_riscv_unpacks_nothing(tmp_path: Path) -> None:
    contents = bytes(RISCV.architecture.boot_offset) + RISCV.architecture.boot_magic + IMAGE
    image = tmp_path / "Image.gz"
    image.write_bytes(gzip.compress(contents))
    assert machine_of_image(image) == RISCV
    assert unpacked_kernel(image, RISCV).read_bytes() == contents
    plain = tmp_path / "Image"
    plain.write_bytes(contents)
    assert unpacked_kernel(plain, RISCV) == plain


def test_an_image_that_ends_in_its_header_is_none(tmp_path: Path) -> None:
    image = tmp_path / "bzImage"
    for length in range(0x238):
        image.write_bytes(bzimage(RELEASE)[:length])
        if length > 0x236:
            assert machine_of_image(image) == X86_64
        else:
            with pytest.raises(KbuildError, match="bzImage: not an image of a kernel for "):
                machine_of_image(image)
