# SPDX-License-Identifier: GPL-2.0-only
"""An archive of a package is somebody else's: nothing of it gets out of the folder where it is unpacked."""

from __future__ import annotations

import gzip
import io
import lzma
import os
import tarfile
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest

from kbuildpy.dkms import tarball as subject
from kbuildpy.dkms.places import DkmsPlaces
from kbuildpy.dkms.tarball import check_headers_are_bounded, load_kernels, make_archive, opened_archive
from kbuildpy.errors import KbuildError

KERNEL, ARCH = "6.1.0-9", "x86_64"
Change = Callable[[tarfile.TarInfo], None]


@pytest.fixture
def places(tmp_path: Path) -> DkmsPlaces:
    """Empty trees."""
    return DkmsPlaces(tmp_path / "dkms", tmp_path / "src", tmp_path / "modules", tmp_path / "etc")


def packed(place: Path, *members: tuple[str, bytes, str]) -> Path:
    """An archive with these members (names, kinds of tarfile, and contents or, of links, where they lead), after a
    dkms.conf."""
    archive = place / "a.tar.gz"
    with tarfile.open(archive, "w:gz") as file:
        for name, kind, text in (("./dkms_source_tree/dkms.conf", tarfile.REGTYPE, "A=1"), *members):
            member = tarfile.TarInfo(name)
            member.type = kind
            member.size = len(text) if kind == tarfile.REGTYPE else 0
            member.linkname = "" if kind == tarfile.REGTYPE else text
            file.addfile(member, io.BytesIO(text.encode()))
    return archive


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ([("../out", tarfile.REGTYPE, "x")], r"\.\./out leads out of the archive"),
        ([("/tmp/out", tarfile.REGTYPE, "x")], "/tmp/out leads out of the archive"),
        ([("a/../../out", tarfile.REGTYPE, "x")], "leads out of the archive"),
        ([("a\x1b[31m", tarfile.REGTYPE, "x")], r"a\\x1b\[31m leads out"),
        ([("dkms_main_tree", tarfile.SYMTYPE, "/etc")], "the link dkms_main_tree leads out of the archive"),
        ([("d/l", tarfile.SYMTYPE, "/"), ("d/l/out", tarfile.SYMTYPE, "x")], "the link out leads out of the archive"),
        ([("hard", tarfile.LNKTYPE, "/etc/passwd")], "hard is neither a file, a folder nor a link"),
        ([("pipe", tarfile.FIFOTYPE, "")], "pipe is neither"),
        ([("disk", tarfile.BLKTYPE, "")], "disk is neither"),
        (
            [(f"dkms_main_tree/{KERNEL}/{ARCH}/module/m.ko", tarfile.SYMTYPE, "/etc/passwd")],
            "must be a file, not a link",
        ),
        ([("dkms_main_tree/-x/y/module/m.ko", tarfile.REGTYPE, "x")], "'-x': not the release of a kernel"),
    ],
)
def test_a_member_that_leads_out_is_refused(
    members: list[tuple[str, bytes, str]], message: str, places: DkmsPlaces, tmp_path: Path
) -> None:
    with pytest.raises(KbuildError, match=message), opened_archive(places, packed(tmp_path, *members)):
        pass
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.tar.gz", "dkms"]
    assert list(places.state.iterdir()) == []


def test_an_archive_has_an_end(places: DkmsPlaces, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    archive = packed(tmp_path, ("a", tarfile.REGTYPE, "x" * 100))
    with monkeypatch.context() as patch:
        patch.setattr(subject, "_BYTES", 50)
        with pytest.raises(KbuildError, match="more than"), opened_archive(places, archive):
            pass
    archive.write_bytes(archive.read_bytes()[:-40])
    with pytest.raises(KbuildError, match=r"a\.tar\.gz: "), opened_archive(places, archive):
        pass
    archive.write_text("no archive")
    with pytest.raises(KbuildError, match=r"a\.tar\.gz: not an archive, or cut off"), opened_archive(places, archive):
        pass


def block(kind: bytes, size: int) -> bytes:
    """The header of a member of any size."""
    member = tarfile.TarInfo("m")
    member.type, member.size = kind, size
    return member.tobuf(tarfile.GNU_FORMAT)


@pytest.mark.parametrize("kind", [tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK, tarfile.XHDTYPE, tarfile.XGLTYPE])
def test_headers_that_would_take_the_memory_are_refused(kind: bytes, places: DkmsPlaces, tmp_path: Path) -> None:
    archive, long = tmp_path / "a.tar.gz", 128 << 20
    with gzip.open(archive, "wb", compresslevel=1) as file:
        file.write(block(kind, long))
        for _ in range(long >> 20):
            file.write(bytes(1 << 20))
        file.write(block(tarfile.REGTYPE, 0) + bytes(1024))
    tracemalloc.start()
    try:
        with (
            pytest.raises(KbuildError, match=rf"a\.tar\.gz: a header of {long} bytes"),
            opened_archive(places, archive),
        ):
            pass
        assert tracemalloc.get_traced_memory()[1] < 16 << 20
    finally:
        tracemalloc.stop()


def test_a_python_whose_headers_cannot_be_bounded_opens_no_archive(
    places: DkmsPlaces, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = tmp_path / "a.tar"
    archive.write_bytes(block(tarfile.REGTYPE, 0) + bytes(1024))
    monkeypatch.setattr("kbuildpy.dkms.tarball._BoundedHeader", tarfile.TarInfo)
    check_headers_are_bounded.cache_clear()
    with pytest.raises(KbuildError, match="headers of any length"), opened_archive(places, archive):
        pass
    monkeypatch.undo()
    check_headers_are_bounded()


def records(*pairs: tuple[str, str]) -> bytes:
    """Blocks with pax' records."""
    text = b""
    for key, value in pairs:
        length = len(key) + len(value) + 3
        text += f"{length + len(str(length + 2))} {key}={value}\n".encode()
    return block(tarfile.XHDTYPE, len(text)) + text + bytes(-len(text) % 512)


SPARSE = (("GNU.sparse.major", "1"), ("GNU.sparse.minor", "0"))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (block(tarfile.REGTYPE, -1024), "a header of -1024 bytes"),
        # (tarfile ends at such a member since 3.14)
        (records(("size", "-1024")) + block(tarfile.REGTYPE, 0), "m has a size of -1024 bytes|no dkms.conf"),
        (block(tarfile.GNUTYPE_SPARSE, 0), "m is a sparse file"),
        (records(*SPARSE) + block(tarfile.REGTYPE, 1024) + b"999999999\n" + b"1\n" * 507, "m is a sparse file"),
        (block(tarfile.XHDTYPE, 0) * 2000, "headers without a member"),
        (
            b"".join(
                block(tarfile.XGLTYPE, 1 << 19)
                + f"{1 << 19} k{number}=".encode().ljust((1 << 19) - 1, b"x")
                + b"\n"
                + block(tarfile.DIRTYPE, 0)
                for number in range(4)
            ),
            "headers of more than 1 MiB",
        ),
    ],
)
def test_headers_that_no_archive_has_are_refused(text: bytes, message: str, places: DkmsPlaces, tmp_path: Path) -> None:
    archive = tmp_path / "a.tar"
    archive.write_bytes(text + bytes(1024))
    with pytest.raises(KbuildError, match=message) as error, opened_archive(places, archive):
        pass
    assert error.value.status == 7
    assert list(places.state.iterdir()) == []


@pytest.mark.parametrize("compress", [gzip.compress, lzma.compress])
def test_a_damaged_archive_is_one_error(compress: Callable[[bytes], bytes], places: DkmsPlaces, tmp_path: Path) -> None:
    archive = tmp_path / "a.tar"
    contents = os.urandom(300_000)
    with tarfile.open(archive, "w") as file:
        member = tarfile.TarInfo("dkms_source_tree/dkms.conf")
        member.size = len(contents)
        file.addfile(member, io.BytesIO(contents))
    whole = compress(archive.read_bytes())
    archive.write_bytes(whole[:100_000] + bytes(100_000) + whole[200_000:])
    with pytest.raises(KbuildError, match=r"a\.tar: ") as error, opened_archive(places, archive):
        pass
    assert error.value.status == 7


def test_long_names_are_read(places: DkmsPlaces, tmp_path: Path) -> None:
    name = "/".join(["d" * 90] * 5)
    for form in (tarfile.PAX_FORMAT, tarfile.GNU_FORMAT):
        with tarfile.open(tmp_path / "a.tar", "w", format=form) as file:
            for each in ("dkms_source_tree/dkms.conf", f"dkms_source_tree/{name}"):
                file.addfile(tarfile.TarInfo(each))
        with opened_archive(places, tmp_path / "a.tar") as found:
            assert found.sources is not None
            assert (found.sources / name).is_file()


def test_a_file_with_sources_alone_is_an_archive_too(places: DkmsPlaces, tmp_path: Path) -> None:
    archive = tmp_path / "release.tar"
    with tarfile.open(archive, "w") as file:
        member = tarfile.TarInfo("drv-1.0/dkms.conf")
        file.addfile(member, io.BytesIO())
    with opened_archive(places, archive) as found:
        assert found.sources is not None
        assert (found.sources.name, found.kernels) == ("drv-1.0", ())


def test_what_is_built_already_stays_unless_forced(places: DkmsPlaces, tmp_path: Path) -> None:
    module = places.built("p", "1", KERNEL, ARCH) / "module/m.ko"
    module.parent.mkdir(parents=True)
    source = places.source("p", "1")
    source.mkdir()
    (source / "dkms.conf").write_text("A=1")
    module.write_text("packed")
    archive = make_archive(
        places, "p", "1", [(KERNEL, ARCH)], conf=None, target=tmp_path / "a.tar.xz", binaries_only=True
    )
    assert archive.read_bytes().startswith(b"\xfd7zXZ")
    module.write_text("there")
    for force, text, kept in ((False, "there", [KERNEL]), (True, "packed", [])):
        with opened_archive(places, archive) as found:
            assert load_kernels(places, "p", "1", found, force=force) == kept
        assert module.read_text() == text


def test_many_kernels_have_a_short_name(places: DkmsPlaces) -> None:
    source = places.source("p", "1")
    source.mkdir(parents=True)
    kernels = [(f"6.1.0-{number}-amd64", ARCH) for number in range(20)]
    for kernel, arch in kernels:
        places.built("p", "1", kernel, arch).mkdir(parents=True)
    archive = make_archive(places, "p", "1", kernels, conf=None, target=None, binaries_only=False)
    assert archive.name == "p-1-manykernels.dkms.tar.gz"
