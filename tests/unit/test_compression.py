# SPDX-License-Identifier: GPL-2.0-only
"""Contents that cannot be decompressed are told in the terms of the file that they came from."""

from __future__ import annotations

import bz2
import gzip
import lzma
import random
import resource
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from kbuildpy import compression
from kbuildpy.errors import CommandError, KbuildError
from kbuildpy.kernel.module_files import read_module
from kbuildpy.loader.kernels.vmlinux import embedded_config
from kbuildpy.run import run

ZSTD = b"\x28\xb5\x2f\xfd"
AGAIN = "the file is damaged: build, compress or copy it again"


@pytest.mark.parametrize(
    ("stderr", "shown"),
    [
        ("/*stdin*\\ : Read error (39) : premature end \n", "Read error (39) : premature end"),
        ("zstd: /*stdin*\\: unsupported format \n", "unsupported format"),
        ("Warning : something\nError 52 : Read error\n", "Error 52 : Read error"),
        ("", "no reason given"),
    ],
)
def test_a_programs_name_for_standard_input_is_not_shown(
    stderr: str, shown: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def run(argv: list[str], *, input: bytes, limit: int) -> None:
        raise CommandError("it failed", stderr=stderr)

    monkeypatch.setattr(compression, "run", run)
    monkeypatch.setattr(compression, "_decompressor", lambda name: None)
    with pytest.raises(KbuildError) as failed:
        compression.decompress(b"\x28\xb5\x2f\xfd")
    assert failed.value.message == f"damaged zstd contents: {shown}"


def test_a_full_disk_is_not_told_as_damage(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compression, "_decompressor", lambda name: None)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, before[1]))
    try:
        with pytest.raises(CommandError) as failed:
            compression.decompress(ZSTD + bytes(8192))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert failed.value.message == "zstd: no temporary file for its input: File too large"
    assert "TMPDIR" in failed.value.hint


def test_a_program_that_cannot_be_started_is_not_told_as_damage(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compression, "_decompressor", lambda name: None)
    monkeypatch.setenv("PATH", str(tmp_path))
    (tmp_path / "zstd").write_bytes(b"\x7fELF")
    (tmp_path / "zstd").chmod(0o755)
    with pytest.raises(CommandError, match=r"^zstd: exec format error"):
        compression.decompress(ZSTD)
    (tmp_path / "m.ko.zst").write_bytes(ZSTD)
    with pytest.raises(KbuildError) as failed:
        read_module(tmp_path / "m.ko.zst")
    assert failed.value.hint == ""


@pytest.mark.skipif(shutil.which("zstd") is None, reason="zstd is not installed")
def test_a_damaged_module_is_named_once_with_what_to_do(tmp_path: Path) -> None:
    file = tmp_path / "cut.ko.zst"
    file.write_bytes(b"\x28\xb5\x2f\xfd\x24\x05")
    with pytest.raises(KbuildError) as failed:
        read_module(file)
    # (the program says why; Python's own, from 3.14 on, does not)
    found = failed.value.message.removeprefix(f"{file}: ")
    assert found.startswith("damaged zstd contents: ") or found == "the zstd contents are cut off before their end"
    assert "stdin" not in failed.value.message
    assert failed.value.hint == AGAIN


BIG = 100 << 20


def zeros(name: str) -> bytes:
    """100 MiB of zeros, packed."""
    if name in ("zstd", "lz4"):
        if shutil.which(name) is None:
            pytest.skip(f"{name} is not installed")
        options = ["zstd", "-3", "-c"] if name == "zstd" else ["lz4", "-l", "-c"]
        return run(["sh", "-c", f"head -c {BIG} /dev/zero | {' '.join(options)}"]).stdout
    packers: dict[str, Callable[[], object]] = {
        "xz": lambda: lzma.LZMACompressor(preset=0),
        "lzma": lambda: lzma.LZMACompressor(lzma.FORMAT_ALONE, preset=0),
        "bzip2": lambda: bz2.BZ2Compressor(1),
    }
    if name == "gzip":
        return gzip.compress(bytes(BIG), 1)
    packer: object = packers[name]()
    packed: bytes = packer.compress(bytes(BIG)) + packer.flush()  # type: ignore[attr-defined]
    return packed


@pytest.mark.parametrize("name", ["gzip", "xz", "lzma", "bzip2", "zstd", "lz4"])
def test_what_unpacks_to_too_much_is_refused_in_little_memory(name: str, tmp_path: Path) -> None:
    bomb = tmp_path / "bomb.ko"
    bomb.write_bytes(zeros(name))
    assert compression.compression_of(bomb.read_bytes()) == name
    script = """
import re, sys
from pathlib import Path
from kbuildpy.errors import KbuildError
from kbuildpy.kernel.module_files import read_module
try:
    read_module(Path(sys.argv[1]))
except KbuildError as error:
    print(error.message)
print(*re.findall(r"VmHWM:\\s*(\\d+) kB", Path("/proc/self/status").read_text()))
"""
    message, kilobytes = run([sys.executable, "-c", script, bomb]).text.splitlines()
    assert message == f"{bomb}: the {name} contents unpack to more than 64 MiB"
    assert int(kilobytes) << 10 < 4 * bomb.stat().st_size + (200 << 20)


def test_a_dictionary_of_more_memory_than_there_should_be_is_refused() -> None:
    filters = [{"id": lzma.FILTER_LZMA2, "preset": 0, "dict_size": 256 << 20}]
    packed = lzma.compress(b"little", filters=filters)
    with pytest.raises(KbuildError, match="the xz contents need more than 144 MiB of memory to unpack"):
        compression.decompress(packed)
    # scripts/xz_wrap.sh asks for this much when it packs a kernel.
    filters[0]["dict_size"] = 128 << 20
    assert compression.decompress(lzma.compress(b"little", filters=filters)) == b"little"


@pytest.mark.parametrize("name", ["zstd", "lz4"])
def test_a_program_unpacks_what_it_should(name: str) -> None:
    if shutil.which(name) is None:
        pytest.skip(f"{name} is not installed")
    contents = bytes(range(256)) * 40_000
    options = ["--ultra", "-22"] if name == "zstd" else ["-l"]
    packed = run([name, "-c", *options], input=contents).stdout
    assert compression.decompress(packed) == contents
    with pytest.raises(KbuildError, match=f"damaged {name} contents|{name} contents are cut off"):
        compression.decompress(packed[: len(packed) // 2])


def test_what_a_kernel_carries_is_not_unpacked_without_end() -> None:
    config = b"CONFIG_A=y\n"
    assert embedded_config(b"xIKCFG_ST" + gzip.compress(config) + b"IKCFG_EDx") == config.decode()
    assert embedded_config(b"xIKCFG_ST" + gzip.compress(bytes(65 << 20)) + b"IKCFG_EDx") is None


def test_a_program_that_prints_for_ever_is_ended() -> None:
    assert len(run(["cat", "/dev/zero"], limit=1 << 20).stdout) <= 2 << 20


def packed(name: str, contents: bytes) -> bytes:
    """`contents` packed by `name`, as one stream."""
    if name == "zstd":
        if shutil.which(name) is None:
            pytest.skip("zstd is not installed")
        return run(["zstd", "-c"], input=contents).stdout
    if name == "xz":
        return lzma.compress(contents)
    return gzip.compress(contents) if name == "gzip" else bz2.compress(contents)


@pytest.mark.parametrize("name", ["gzip", "xz", "bzip2", "zstd"])
def test_a_module_with_something_behind_its_stream_is_refused(name: str) -> None:
    """A kernel that decompresses modules would see the first stream only, kmod both: verify would speak of one."""
    first, second = packed(name, b"a module"), packed(name, b"that nobody signed")
    assert compression.decompress(first) == b"a module"
    for rest in (second, b"garbage", bytes(8)):
        with pytest.raises(KbuildError, match=f"^{len(rest)} bytes follow the end of the {name} contents") as failed:
            compression.decompress(first + rest)
        assert "compress it again" in failed.value.hint
        assert compression.decompress_first(first + rest) == b"a module"


@pytest.mark.skipif(shutil.which("zstd") is None, reason="zstd is not installed")
@pytest.mark.parametrize(
    "contents",
    [b"", b"a", bytes(300), bytes(70_000), bytes(range(256)) * 300, random.Random(1).randbytes(300_000)],
    ids=["empty", "one byte", "one block of zeros", "zeros", "repeated", "incompressible"],
)
@pytest.mark.parametrize("option", ["--check", "--no-check", "--fast=3", "--no-content-size", "--long=27"])
def test_the_end_of_a_zstd_frame_is_where_the_program_ends_it(contents: bytes, option: str) -> None:
    frame = run(["zstd", "-c", option], input=contents).stdout
    assert compression.zstd_frame_end(frame) == len(frame)
    assert compression.zstd_frame_end(frame + b"more") == len(frame)
    for size in range(4, len(frame), max(1, len(frame) // 50)):
        assert compression.zstd_frame_end(frame[:size]) >= size
