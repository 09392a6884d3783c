# SPDX-License-Identifier: GPL-2.0-only
"""An archive of a package is somebody else's: nothing of it gets out of the folder where it is unpacked."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from kbuildpy.dkms import tarball as subject
from kbuildpy.dkms.places import DkmsPlaces
from kbuildpy.dkms.tarball import load_kernels, make_archive, opened_archive
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
