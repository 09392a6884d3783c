# SPDX-License-Identifier: GPL-2.0-only
"""Archives of packages, as DKMS makes and loads them: `dkms_source_tree/` or, without sources, `dkms_binaries_only/`
with the dkms.conf alone, and `dkms_main_tree/RELEASE/ARCH/` for each kernel that the package was built for.

An archive is somebody else's: nothing in it leads out of the folder where it is unpacked, links come last, so that
no file is written through one, and it has at most so many members and bytes.
"""

from __future__ import annotations

import io
import lzma
import shutil
import tarfile
import tempfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path, PurePosixPath

from kbuildpy.dkms.places import DkmsPlaces, check_kernel
from kbuildpy.dkms.tried import TRIED
from kbuildpy.errors import KbuildError
from kbuildpy.exchange import put_in_place, sync_tree
from kbuildpy.printable import printable
from kbuildpy.run import run

_MAIN, _SOURCES, _BINARIES = "dkms_main_tree", "dkms_source_tree", "dkms_binaries_only"
_LONGEST = 199
"""Characters of the kernels in a name; more of them are called `manykernels`."""
_MEMBERS, _BYTES = 200_000, 4 << 30
_HEADER = 1 << 20
"""The most bytes of a long name or of pax' records, which tarfile reads as a whole before it knows a member."""
_READ_AS_A_WHOLE = (
    *(tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK),
    *(tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.SOLARIS_XHDTYPE),
)


class _HeaderError(tarfile.TarError):
    """A header that is not read."""


class _BoundedHeader(tarfile.TarInfo):
    """A member whose headers say nothing that would take all of the memory."""

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> _BoundedHeader:
        """The member that a block describes. Raises `_HeaderError`."""
        return cls._checked(super().frombuf(buf, encoding, errors))

    @classmethod
    def _frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str, **more: bool) -> _BoundedHeader:
        """The same, by the name that tarfile calls since 3.14, and in later releases of older versions."""
        return cls._checked(super()._frombuf(buf, encoding, errors, **more))  # type: ignore[misc]

    @staticmethod
    def _checked(found: _BoundedHeader) -> _BoundedHeader:
        if found.size < 0 or (found.type in _READ_AS_A_WHOLE and found.size > _HEADER):
            raise _HeaderError(f"a header of {found.size} bytes")
        if found.type == tarfile.GNUTYPE_SPARSE:
            raise _HeaderError(f"{printable(found.name)} is a sparse file")
        return found

    def _proc_gnusparse_10(self, following: tarfile.TarInfo, records: object, archive: object) -> None:
        """In place of tarfile's, which reads a map of any length."""
        raise _HeaderError(f"{printable(following.name)} is a sparse file")


@cache
def check_headers_are_bounded() -> None:
    """Check that tarfile asks `_BoundedHeader` about each header: another Python may not, and would then read as much
    as an archive says. Raises `KbuildError`."""
    long = tarfile.TarInfo("long")
    long.type, long.size = tarfile.GNUTYPE_LONGNAME, _HEADER + 1
    with suppress(tarfile.ReadError):
        try:
            tarfile.open(fileobj=io.BytesIO(long.tobuf(tarfile.GNU_FORMAT)), tarinfo=_BoundedHeader).close()
        except _HeaderError:
            return
    raise KbuildError("this Python's tarfile reads headers of any length", hint="use kbuildpy with another Python")


@dataclass(frozen=True)
class Archive:
    """An archive, unpacked."""

    conf: Path
    """Its dkms.conf."""
    sources: Path | None
    """None: it has modules only."""
    kernels: tuple[tuple[str, str, Path], ...]
    """The kernels and architectures that it has modules for, each with its folder."""


def make_archive(
    places: DkmsPlaces,
    name: str,
    version: str,
    kernels: Sequence[tuple[str, str]],
    *,
    conf: Path | None,
    target: Path | None,
    binaries_only: bool,
) -> Path:
    """Write the archive of a package with what was built for `kernels`; its path. Raises `KbuildError`."""
    source = places.source(name, version)
    missing = [(kernel, arch) for kernel, arch in kernels if not places.built(name, version, kernel, arch).is_dir()]
    if missing:
        kernel, arch = missing[0]
        raise KbuildError(
            f"{name}/{version}: nothing is built for {kernel} ({arch})",
            hint=f"build it: kbuildpy dkms build {name}/{version} -k {kernel}; or leave modules out: --source-only",
            status=6,
        )
    target = target or places.package(name, version) / "tarball" / f"{name}-{version}-{_words(kernels)}.dkms.tar.gz"
    with _staged(places) as stage:
        try:
            (stage / _MAIN).mkdir()
            for kernel, arch in kernels:
                shutil.copytree(places.built(name, version, kernel, arch), stage / _MAIN / kernel / arch, symlinks=True)
            if binaries_only:
                (stage / _BINARIES).mkdir()
                (stage / _BINARIES / "PACKAGE_NAME").write_text(f"{name}\n")
                (stage / _BINARIES / "PACKAGE_VERSION").write_text(f"{version}\n")
                shutil.copyfile(conf or source / "dkms.conf", stage / _BINARIES / "dkms.conf")
            else:
                shutil.copytree(
                    source.resolve(), stage / _SOURCES, symlinks=True, ignore=partial(_hidden, source.resolve())
                )
            target.parent.mkdir(parents=True, exist_ok=True)
        except (OSError, shutil.Error) as error:
            raise KbuildError(f"{target}: {error}", hint="nothing was written", status=9) from error
        # (tar takes the compression from the name)
        beside = target.with_name(f".new~{target.name}")
        try:
            run(["tar", "-C", stage, "--owner=root:0", "--group=root:0", "--sort=name", "-caf", beside, "."])
            beside.replace(target)
        except OSError as error:
            raise KbuildError(f"{target}: {error.strerror}", hint="nothing was written", status=9) from error
        finally:
            beside.unlink(missing_ok=True)
    return target


@contextmanager
def opened_archive(places: DkmsPlaces, archive: Path) -> Iterator[Archive]:
    """What is in an archive, unpacked for as long. Raises `KbuildError` for a file that is none."""
    if not archive.is_file():
        raise KbuildError(f"{archive}: no such file", hint="it is what mktarball writes: *.dkms.tar.gz", status=2)
    check_headers_are_bounded()
    with _staged(places) as stage:
        try:
            with tarfile.open(archive, tarinfo=_BoundedHeader) as file:
                _unpack(file, stage, archive)
        except RecursionError:
            raise KbuildError(f"{archive}: headers without a member", hint="nothing was loaded", status=7) from None
        except tarfile.ReadError as error:
            hint = "it is what mktarball writes, or sources with a dkms.conf, in a tar of gzip, bzip2 or xz"
            raise KbuildError(f"{archive}: not an archive, or cut off", hint=hint, status=7) from error
        except (tarfile.TarError, EOFError, OSError, ValueError, zlib.error, lzma.LZMAError) as error:
            raise KbuildError(f"{archive}: {error}", hint="nothing was loaded", status=7) from error
        yield _contents(stage, archive)


def load_kernels(places: DkmsPlaces, name: str, version: str, archive: Archive, *, force: bool) -> list[str]:
    """Put the modules of `archive` into DKMS' tree, each kernel's in one step; the releases of those that were there
    before and stay (without `force`). Raises OSError."""
    kept = []
    for kernel, arch, folder in archive.kernels:
        target = places.built(name, version, kernel, arch)
        if target.is_dir() and not force:
            kept.append(kernel)
            continue
        # (it ran on another machine, if it did)
        (folder / "log" / TRIED).unlink(missing_ok=True)
        sync_tree(folder)
        target.parent.mkdir(parents=True, exist_ok=True)
        put_in_place(folder, target)
    return kept


@contextmanager
def _staged(places: DkmsPlaces) -> Iterator[Path]:
    places.state.mkdir(parents=True, exist_ok=True)
    stage = Path(tempfile.mkdtemp(prefix="stage-", dir=places.state))
    try:
        yield stage
    finally:
        shutil.rmtree(stage, ignore_errors=True)


def _hidden(top: Path, folder: str, names: list[str]) -> set[str]:
    """Names with a dot in the folder `top`, which DKMS leaves out: version control, settings of editors."""
    return {name for name in names if name.startswith(".") and Path(folder) == top}


def _words(kernels: Sequence[tuple[str, str]]) -> str:
    words = "-".join(f"kernel{kernel}-{arch}" for kernel, arch in kernels) or "source-only"
    return words if len(words) <= _LONGEST else "manykernels"


def _unpack(file: tarfile.TarFile, stage: Path, archive: Path) -> None:
    links: list[tuple[Path, str]] = []
    size = 0
    for number, member in enumerate(file):
        path = PurePosixPath(member.name)
        size += member.size
        # (tarfile keeps all members, each with a copy of its pax records)
        member.pax_headers = {}
        if sum(len(key) + len(value) for key, value in file.pax_headers.items()) > _HEADER:
            raise KbuildError(f"{archive}: headers of more than {_HEADER >> 20} MiB", status=7)
        if member.size < 0:
            raise KbuildError(f"{archive}: {printable(member.name)} has a size of {member.size} bytes", status=7)
        if path.is_absolute() or ".." in path.parts or not member.name.isprintable():
            raise KbuildError(f"{archive}: {printable(member.name)} leads out of the archive", status=7)
        if number > _MEMBERS or size > _BYTES:
            raise KbuildError(f"{archive}: more than {_MEMBERS} members or {_BYTES >> 30} GiB", status=7)
        target = stage / path
        if member.isdir():
            target.mkdir(parents=True, exist_ok=True)
        elif member.issym():
            links.append((target, member.linkname))
        elif member.isreg() and (contents := file.extractfile(member)) is not None:
            target.parent.mkdir(parents=True, exist_ok=True)
            with contents, target.open("wb") as out:
                shutil.copyfileobj(contents, out)
            target.chmod(0o755 if member.mode & 0o111 else 0o644)
        else:
            raise KbuildError(f"{archive}: {printable(member.name)} is neither a file, a folder nor a link", status=7)
    for target, name in links:
        if target.parent == stage or not target.parent.resolve().is_relative_to(stage.resolve()):
            raise KbuildError(f"{archive}: the link {printable(target.name)} leads out of the archive", status=7)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.symlink_to(name)


def _contents(stage: Path, archive: Path) -> Archive:
    for folder in (_SOURCES, _BINARIES):
        conf = stage / folder / "dkms.conf"
        if conf.is_file() and not conf.is_symlink():
            sources = stage / folder if folder == _SOURCES else None
            return Archive(conf, sources, tuple(_kernels(stage / _MAIN)))
    others = sorted(path for path in stage.rglob("dkms.conf") if path.is_file() and not path.is_symlink())
    if not others or (stage / _MAIN).exists():
        raise KbuildError(
            f"{archive}: no dkms.conf in {_SOURCES} or {_BINARIES}", hint="it is what mktarball writes", status=7
        )
    return Archive(others[0], others[0].parent, ())


def _kernels(main: Path) -> Iterator[tuple[str, str, Path]]:
    for folder in sorted(main.glob("*/*")):
        if folder.is_dir() and not folder.is_symlink() and not folder.parent.is_symlink():
            check_kernel(folder.parent.name, folder.name)
            links = [path for path in folder.rglob("*") if path.is_symlink()]
            if links:
                raise KbuildError(f"{links[0].relative_to(main)}: a built module must be a file, not a link", status=7)
            yield folder.parent.name, folder.name, folder
