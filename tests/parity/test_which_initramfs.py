# SPDX-License-Identifier: GPL-2.0-only
"""What is read of an initramfs is what cpio unpacks and lsinitramfs lists, and damage is said."""

from __future__ import annotations

import bz2
import gzip
import hashlib
import json
import lzma
import os
import random
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from kbuildpy.run import run
from kbuildpy.which import archives, cpio
from kbuildpy.which.initramfs import Initramfs, read_initramfs
from tests.support.command_line import call
from tests.support.documents import ROOT
from tests.support.modprobe_roots import module, write

pytestmark = [
    pytest.mark.parity,
    pytest.mark.skipif(shutil.which("cpio") is None, reason="cpio is not installed"),
]

RELEASE = "9.9.0-drawn"
MODULES = f"usr/lib/modules/{RELEASE}"


def by_program(*words: str) -> Callable[[bytes], bytes]:
    return lambda plain: run(words, input=plain).stdout


COMPRESSORS: dict[str, Callable[[bytes], bytes]] = {
    "none": lambda plain: plain,
    "gzip": gzip.compress,
    "bzip2": bz2.compress,
    "xz": lambda plain: lzma.compress(plain, check=lzma.CHECK_CRC32),
    "lzma": lambda plain: lzma.compress(plain, format=lzma.FORMAT_ALONE),
    "zstd": by_program("zstd", "-q", "-c"),
    "lz4": by_program("lz4", "-l", "-q", "-c"),
    "lzo": by_program("lzop", "-c"),
}
# Where the stream of lzop ends, only lzop knows; one of lz4 says it by what is no length of a block, as zeroes are.
NO_END = {("lzo", "with zeroes"), ("lzo", "twice"), ("lz4", "twice")}
PROGRAMS = {"zstd": "zstd", "lz4": "lz4", "lzo": "lzop"}


def archive(folder: Path) -> bytes:
    """The files of `folder` as cpio packs them."""
    names = "".join(f"{path.relative_to(folder)}\0" for path in sorted(folder.rglob("*"))).encode()
    return run(["cpio", "-o", "-0", "--quiet", "-H", "newc"], cwd=folder, input=names).stdout


def tree(folder: Path, seed: int) -> Path:
    """Files for an initramfs: modules, settings, and others."""
    draw = random.Random(seed)
    for number in range(12):
        path = folder / MODULES / f"kernel/drivers/d{number % 3}/m{number}.ko{draw.choice(('', '', '.xz'))}"
        path.parent.mkdir(parents=True, exist_ok=True)
        contents = draw.randbytes(draw.randrange(40_000))
        path.write_bytes(lzma.compress(contents) if path.suffix == ".xz" else contents)
    (folder / MODULES / "kernel/empty.ko").touch()
    os.link(folder / MODULES / "kernel/empty.ko", folder / MODULES / "kernel/also_empty.ko")
    whole = folder / MODULES / "kernel/one.ko"
    whole.write_bytes(b"one" * 1000)
    os.link(whole, folder / MODULES / "kernel/two.ko")
    (folder / MODULES / "kernel/link.ko").symlink_to("one.ko")
    (folder / "usr/lib/modules/other").mkdir()
    (folder / "usr/lib/modules/other/x.ko").touch()
    (folder / "etc/modprobe.d").mkdir(parents=True)
    (folder / "etc/modprobe.d/a.conf").write_text("blacklist m1\n")
    (folder / "run/modprobe.d").mkdir(parents=True)
    (folder / "run/modprobe.d/b.conf").write_text("blacklist m2\n")
    (folder / "big").write_bytes(bytes(1 << 20))
    return folder


def early(folder: Path) -> bytes:
    """An archive of microcode, with the zeroes behind it that mkinitramfs puts there."""
    (folder / "kernel/x86/microcode").mkdir(parents=True)
    (folder / "kernel/x86/microcode/GenuineIntel.bin").write_bytes(b"microcode" * 4000)
    packed = archive(folder)
    return packed + bytes(-len(packed) % 512)


def unpacked_by_cpio(image: bytes, folder: Path) -> dict[str, str]:
    """The digests of the modules in a plain archive, unpacked by cpio."""
    folder.mkdir()
    run(["cpio", "-i", "--quiet", "--no-absolute-filenames", "-d"], cwd=folder, input=image)
    top = folder / MODULES
    return {
        str(path.relative_to(top)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in top.rglob("*.ko*")
        if not path.is_symlink()
    }


def digests(found: Initramfs) -> dict[str, str]:
    return {each.path: each.digest for each in found.modules}


@pytest.mark.parametrize("format", COMPRESSORS)
def test_reads_the_modules_that_cpio_unpacks(format: str, tmp_path: Path) -> None:
    if format in PROGRAMS and shutil.which(PROGRAMS[format]) is None:
        pytest.skip(f"{PROGRAMS[format]} is not installed")
    plain = archive(tree(tmp_path / "tree", 1))
    expected = unpacked_by_cpio(plain, tmp_path / "unpacked")
    packed = COMPRESSORS[format](plain)
    before = early(tmp_path / "early")
    image = tmp_path / "initrd.img"
    images = {
        "alone": packed,
        "after microcode": before + packed,
        "with zeroes": before + packed + bytes(512),
        "twice": before + packed + COMPRESSORS["gzip"](plain),
    }
    for name, contents in images.items():
        if (format, name) in NO_END:
            continue
        image.write_bytes(contents)
        found = read_initramfs(image, RELEASE)
        assert found.problem == "", name
        assert digests(found) == expected, name
        settings = {"etc/modprobe.d/a.conf": "blacklist m1\n", "run/modprobe.d/b.conf": "blacklist m2\n"}
        assert dict(found.settings) == settings
    for copied in found.modules:
        contents = (tmp_path / "unpacked" / MODULES / copied.path).read_bytes()
        plain_module = lzma.decompress(contents) if copied.path.endswith(".xz") else contents
        assert copied.plain == hashlib.sha256(plain_module).hexdigest()


@pytest.mark.sweep
def test_lists_the_modules_that_lsinitramfs_lists(tmp_path: Path) -> None:
    images = sorted(Path("/boot").glob("initrd.img-*"))
    if shutil.which("lsinitramfs") is None or not images:
        pytest.skip("there is no initramfs of Debian's here")
    image = images[-1]
    release = image.name.removeprefix("initrd.img-")
    found = read_initramfs(image, release)
    assert found.problem == ""
    listed = run(["lsinitramfs", image]).text.splitlines()
    top = f"usr/lib/modules/{release}/"
    expected = {line.removeprefix(top) for line in listed if line.startswith(top) and line.endswith((".ko", ".ko.xz"))}
    assert {each.path for each in found.modules} == expected
    assert len(expected) > 10


def test_damage_of_any_kind_is_said(tmp_path: Path) -> None:
    plain = archive(tree(tmp_path / "tree", 2))
    image = tmp_path / "image"
    whole = read_count(image, plain)
    for name, contents in {
        "cut off": plain[: len(plain) // 2],
        "cut off packed": gzip.compress(plain)[:-1000],
        "empty": b"",
        "no archive": b"nothing of the kind" * 100,
        "junk behind it": plain + b"junk",
        "half a magic number": b"0707zz" * 100,
        "half a magic number behind it": plain + b"0707zz" * 100,
        "junk in the stream": gzip.compress(plain + b"junk"),
        "a huge name": plain[:94] + b"ffffffff" + plain[102:],
        "no digits": plain[:54] + b"zzzzzzzz" + plain[62:],
    }.items():
        image.write_bytes(contents)
        found = read_initramfs(image, RELEASE)
        assert found.problem, name
        assert len(found.modules) <= whole
    source = random.Random(9)
    for compress in (COMPRESSORS["none"], gzip.compress):
        packed = compress(plain)
        for _ in range(25):
            damaged = bytearray(packed)
            for _ in range(3):
                damaged[source.randrange(min(len(damaged), 4000))] = source.randrange(256)
            image.write_bytes(damaged)
            read_initramfs(image, RELEASE)
    assert read_initramfs(tmp_path / "none", RELEASE).problem
    assert read_initramfs(tmp_path, RELEASE).problem


def test_no_image_is_read_without_an_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    image = tmp_path / "image"
    image.write_bytes(gzip.compress(archive(tree(tmp_path / "tree", 3))))
    monkeypatch.setattr(cpio, "_MEMBERS", 5)
    assert "more than 5 files" in read_initramfs(image, RELEASE).problem
    monkeypatch.undo()
    monkeypatch.setattr(archives, "_LIMIT", 1 << 19)
    assert "unpacks to more than" in read_initramfs(image, RELEASE).problem


def read_count(image: Path, contents: bytes) -> int:
    image.write_bytes(contents)
    return len(read_initramfs(image, RELEASE).modules)


READ = """import resource, sys
from pathlib import Path
from kbuildpy.which import archives, cpio
from kbuildpy.which.initramfs import Initramfs, read_initramfs
from tests.support.documents import ROOT
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
assert read_initramfs(Path(sys.argv[1]), "9.9.0-drawn") == Initramfs()
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


def test_an_image_that_unpacks_to_very_much_takes_little_memory(tmp_path: Path) -> None:
    folder = tmp_path / "tree"
    folder.mkdir()
    (folder / "huge").touch()
    size = 120 << 20
    packed = archive(folder)
    # (the archive of an empty file becomes one of a large file: its size stands in the header)
    at = packed.index(b"070701") + 54
    end = packed.index(b"huge\0") + 5
    end += -end % 4
    image = tmp_path / "image"
    with gzip.open(image, "wb", compresslevel=1) as file:
        file.write(packed[:at] + f"{size:08x}".encode() + packed[at + 8 : end])
        for _ in range(size >> 20):
            file.write(bytes(1 << 20))
        file.write(packed[end:])
    done = run([sys.executable, "-c", READ, image], env={"PYTHONPATH": str(ROOT)})
    assert int(done.text) < 30 << 10, "KiB more than before"


@pytest.fixture
def system(tmp_path: Path) -> Path:
    """A system with a module, settings for it, and an initramfs that has both."""
    root = tmp_path / "system"
    write(root, f"{MODULES}/kernel/drv.ko", module("drv", needs=["lib"]))
    write(root, f"{MODULES}/kernel/lib.ko.xz", lzma.compress(module("lib")))
    (root / "lib").symlink_to("usr/lib")
    for name in ("modules.order", "modules.builtin", "modules.builtin.modinfo"):
        write(root, f"{MODULES}/{name}", "")
    write(root, "etc/modprobe.d/drv.conf", "options drv a=1\n")
    write(root, "usr/sbin/update-initramfs", "")
    (root / "none").mkdir()
    run(["/sbin/depmod", "-C", root / "none", "-b", root, RELEASE])
    pack(root)
    return root


def pack(root: Path) -> None:
    """Make the initramfs of the present files, with the modules decompressed, as some tools do it."""
    folder = root.parent / "packed"
    shutil.rmtree(folder, ignore_errors=True)
    for path in ("kernel/drv.ko", "kernel/lib.ko.xz"):
        contents = (root / MODULES / path).read_bytes()
        plain = lzma.decompress(contents) if path.endswith(".xz") else contents
        write(folder, f"{MODULES}/{path.removesuffix('.xz')}", plain)
    shutil.copytree(root / "etc", folder / "etc")
    image = write(root, f"boot/initrd.img-{RELEASE}", gzip.compress(archive(folder)))
    assert image.is_file()


def asked(root: Path) -> tuple[list[str], dict[str, bool | None]]:
    """The texts about the initramfs, and whether each copy is the same."""
    called = call(
        "which", "drv", "--root", root, "-k", RELEASE, "--format", "json", cwd=root, KBUILDPY_CACHE=str(root / "cache")
    )
    answer = json.loads(called.text)
    texts = [each["text"] for each in answer["findings"] if each["kind"].startswith("initramfs")]
    assert all(
        "update-initramfs" in each["hint"] for each in answer["findings"] if each["kind"].startswith("initramfs")
    )
    return texts, {each["file"]: each["same"] for each in answer["initramfs"]}


def test_the_same_module_in_another_compression_is_the_same(system: Path) -> None:
    assert asked(system) == ([], {"kernel/drv.ko": True, "kernel/lib.ko": True})


def test_another_build_in_the_image_is_told(system: Path) -> None:
    (system / MODULES / "kernel/lib.ko.xz").write_bytes(lzma.compress(module("lib", fields=["version=2"])))
    texts, same = asked(system)
    assert same == {"kernel/drv.ko": True, "kernel/lib.ko": False}
    assert len(texts) == 1 and "has another build of lib (kernel/lib.ko)" in texts[0]
    # (what was read of the old image is not taken for the new one)
    pack(system)
    assert asked(system)[0] == []


def test_settings_that_the_image_has_in_an_older_form_are_told(system: Path) -> None:
    write(system, "etc/modprobe.d/drv.conf", "options drv a=2\nblacklist other\n")
    texts, _ = asked(system)
    assert len(texts) == 2
    assert "was made without `options drv a=2` of /etc/modprobe.d/drv.conf:1" in texts[0]
    assert "still has `options drv a=1`" in texts[1]
    pack(system)
    assert asked(system)[0] == []


def test_an_image_that_is_damaged_is_told(system: Path) -> None:
    image = system / f"boot/initrd.img-{RELEASE}"
    image.write_bytes(image.read_bytes()[: image.stat().st_size // 2])
    called = call("which", "drv", "--root", system, "-k", RELEASE, cwd=system, KBUILDPY_CACHE=str(system / "cache"))
    assert "could not be read as a whole" in called.text
