# SPDX-License-Identifier: GPL-2.0-only
"""The sources of a kernel: a directory, an archive, or the package that a distribution has of them.

A kernel is built outside of its sources (`O=`), so that several share them; Kbuild wants them clean for that. Archives
are unpacked in the user's cache, and a directory in which a kernel was built is copied there, and the copy cleaned:
the directory stays as it is.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import mkdtemp

from kbuildpy.errors import CommandError, KbuildError, UsageError
from kbuildpy.kernel.built import BUILDING, built_source
from kbuildpy.kernel.cache import cache_directory
from kbuildpy.kernel.debian import download, no_room, unpack
from kbuildpy.kernel.fetched import built_trees, fetched_root
from kbuildpy.kernel.locked import locked
from kbuildpy.printable import printable
from kbuildpy.run import run
from kbuildpy.similar import did_you_mean

PACKAGE = "linux-source-"
"""What the names of Debian's packages of sources begin with; the line follows, such as 6.1."""

Tell = Callable[[str], object]
"""Is told what is done, when it takes long: a line."""

_LINE = re.compile(r"(?:linux-source-)?(\d+\.\d+)")
_ARCHIVE = re.compile(r"\.tar(\.\w+)?$|\.tgz$")
_VERSION = re.compile(r"^(VERSION|PATCHLEVEL|SUBLEVEL|EXTRAVERSION)[ \t]*=[ \t]*(.*)$", re.MULTILINE)
_UNPACKED = 1_700_000_000
"""Bytes that the sources of a kernel take, about (7.3 has 1.6 GB)."""
_INSTALLED = Path("/usr/src")


@dataclass(frozen=True)
class KernelSource:
    """Clean sources of a kernel."""

    path: Path
    """The physical path of their directory."""
    version: str
    """As their Makefile has it, with the suffixes of `localversion*` files: what a release begins with."""
    identity: str
    """Changes when the sources do."""


def find_source(word: str, *, line: str = "", update: bool = False, tell: Tell) -> KernelSource:
    """The sources that `word` names: a directory, an archive (`linux-6.1.tar.xz`), a package (`linux-source-6.1`) or
    its line (`6.1`); "" means the package of `line`, and without one the newest that is here, else that apt offers.

    Packages are downloaded when they are not here, with `update` also when apt offers a newer one. Raises `UsageError`
    for what is none of these, `KbuildError` for sources that cannot be had.
    """
    path = Path(word or ".")
    if word and ("/" in word or path.is_dir() or _ARCHIVE.search(word)):
        if path.is_dir():
            return _of_directory(path.resolve(), tell)
        if not path.is_file():
            raise UsageError(f"{path}: no such file or directory", hint="name the sources of a kernel, or `6.1`")
        return _of_archive(path.resolve(), tell)
    named = _LINE.fullmatch(word or line or _newest_line())
    if not named:
        raise UsageError(
            f"{printable(word or line) or 'no name'}: neither sources of a kernel nor a line such as 6.1",
            hint="name a directory, an archive (linux-6.1.tar.xz), or a line: kbuildpy kernel build 6.1",
        )
    return _of_package(named[1], update=update, tell=tell)


def read_source(path: Path, identity: str) -> KernelSource:
    """The clean sources in the directory `path`. Raises `UsageError` if these are no sources of a kernel."""
    try:
        text = (path / "Makefile").read_text(errors="replace")
        is_kernel = (path / "scripts/Kbuild.include").is_file() and (path / "arch").is_dir()
    except OSError:
        text, is_kernel = "", False
    parts = {match[1]: match[2].strip() for match in _VERSION.finditer(text)}
    if not is_kernel or "PATCHLEVEL" not in parts or not (path / "init/main.c").is_file():
        near = next((str(each.parent) for each in path.glob("*/scripts/Kbuild.include")), "")
        raise UsageError(
            f"{path}: not the sources of a kernel" + (", only its headers" if is_kernel else ""),
            hint=f"did you mean {near}?" if near else "they have Makefile, Kbuild, init/, arch/, ...",
        )
    version = f"{parts.get('VERSION', '0')}.{parts['PATCHLEVEL']}.{parts.get('SUBLEVEL') or '0'}"
    version += parts.get("EXTRAVERSION", "")
    for file in sorted(path.glob("localversion*")):
        if not file.name.endswith("~"):
            version += file.read_text(errors="replace").strip()
    return KernelSource(path, version, identity)


def remove_unneeded_sources() -> list[Path]:
    """Remove unpacked and copied sources that no kernel which was built refers to; what was removed."""
    needed = {built_source(tree.objects) for tree in built_trees().trees}
    # (a kernel that is being built has no note yet)
    if any((fetched_root() / "usr/src").glob(f"{BUILDING}*")):
        return []
    found = [path for path in sources_root().glob("*") if path.is_dir() and path not in needed]
    for path in found:
        shutil.rmtree(path, ignore_errors=True)
    return found


def sources_root() -> Path:
    """The directory that unpacked and copied sources are below; it may not be there."""
    return cache_directory() / "sources"


def _of_package(line: str, *, update: bool, tell: Tell) -> KernelSource:
    name = f"{PACKAGE}{line}"
    here = sorted(sources_root().glob(f"{name}_*"), key=lambda path: path.stat().st_mtime)
    if here and not update:
        return read_source(here[-1], here[-1].name)
    installed = next(iter(sorted(_INSTALLED.glob(f"{name}.tar.*"))), None)
    if installed:
        return _of_archive(installed, tell, name=name)
    with locked(sources_root(), name, what="gets these sources"), _scratch() as scratch:
        tell(f"downloading {name}")
        try:
            download([name], scratch)
        except CommandError as error:
            raise _no_package(line, error) from error
        except KbuildError as error:
            raise _no_package(line, error) from error
        [package] = scratch.glob("*.deb")
        version = package.name.split("_")[1].replace("%3a", ":")
        place = sources_root() / f"{name}_{version}"
        if not place.is_dir():
            (scratch / "package").mkdir()
            unpack(package, scratch / "package")
            [archive] = (scratch / "package/usr/src").glob(f"{name}.tar.*")
            _unpack_archive(archive, place, scratch, tell)
    return read_source(place, place.name)


def _newest_line() -> str:
    """The newest line of which sources are here, else of those that apt offers; "" for none."""
    names = (path.name.removeprefix(PACKAGE).partition("_")[0] for path in sources_root().glob(f"{PACKAGE}*_*"))
    here = sorted(filter(_LINE.fullmatch, names), key=_order)
    return (here or _offered_lines() or [""])[-1]


def _offered_lines() -> list[str]:
    """The lines of which apt offers sources, from the oldest to the newest."""
    found = run(["apt-cache", "pkgnames", PACKAGE], check=False) if shutil.which("apt-cache") else None
    lines = (name.removeprefix(PACKAGE) for name in (found.text.split() if found else ()))
    return sorted(filter(_LINE.fullmatch, lines), key=_order)


def _order(line: str) -> list[int]:
    return [int(part) for part in line.split(".")]


def _no_package(line: str, error: KbuildError) -> KbuildError:
    offered = _offered_lines()
    if line in offered:
        return error
    what = f"apt offers {', '.join(offered)}" if offered else "apt offers none"
    return KbuildError(
        f"no package {PACKAGE}{line} with the sources of a kernel: {what}",
        hint=f"{did_you_mean(line, offered)}; "
        if did_you_mean(line, offered)
        else "apt-get update renews apt's lists; or name a directory or an archive of sources",
    )


def _of_archive(archive: Path, tell: Tell, *, name: str = "") -> KernelSource:
    facts = archive.stat()
    digest = hashlib.sha256(f"{archive} {facts.st_size} {facts.st_mtime_ns}".encode()).hexdigest()[:12]
    place = sources_root() / f"{name or _ARCHIVE.sub('', archive.name)}_{digest}"
    if not place.is_dir():
        with locked(sources_root(), place.name, what="gets these sources"), _scratch() as scratch:
            if not place.is_dir():
                _unpack_archive(archive, place, scratch, tell)
    return read_source(place, place.name)


def _unpack_archive(archive: Path, place: Path, scratch: Path, tell: Tell) -> None:
    """Unpack the sources in `archive` to `place`, all or nothing."""
    _require_room(_UNPACKED, "the sources of a kernel")
    tell(f"unpacking {archive.name}")
    unpacked = scratch / "source"
    unpacked.mkdir()
    try:
        run(["tar", "-C", unpacked, "--no-same-owner", "-xf", archive], timeout=1800)
    except CommandError as error:
        if "No space left" in error.stderr:
            raise no_room(place.parent) from error
        raise KbuildError(f"{archive}: cannot be unpacked: {error.stderr.strip()[-300:]}") from error
    tops = [path for path in unpacked.iterdir() if path.name != "pax_global_header"]
    top = tops[0] if len(tops) == 1 and tops[0].is_dir() else unpacked
    read_source(top, "")
    top.rename(place)


def _of_directory(path: Path, tell: Tell) -> KernelSource:
    source = read_source(path, "")
    built = [name for name in (".config", "include/config", "include/generated") if (path / name).exists()]
    identity = f"{path} {_state_of(path)}"
    if not built:
        return KernelSource(path, source.version, identity)
    place = sources_root() / f"copy_{hashlib.sha256(identity.encode()).hexdigest()[:16]}"
    if not place.is_dir():
        _require_room(_UNPACKED, "a copy of the sources")
        with locked(sources_root(), place.name, what="gets these sources"), _scratch() as scratch:
            if not place.is_dir():
                tell(f"copying {path} (a kernel was built in it: {built[0]})")
                copy = scratch / "source"
                run(["cp", "-a", "--reflink=auto", path, copy], timeout=1800)
                shutil.rmtree(copy / ".git", ignore_errors=True)
                words = ["env", "-i", f"PATH={os.environ['PATH']}", "make", "-s", "-C", str(copy), "mrproper"]
                run(words, timeout=1800)
                copy.rename(place)
    return read_source(place, identity)


def _state_of(path: Path) -> str:
    """A digest over names, sizes and times of the sources in `path`, without what builds leave."""
    digest = hashlib.sha256()
    for directory, folders, files in os.walk(path):
        folders[:] = sorted(folder for folder in folders if not folder.startswith("."))
        for name in sorted(files):
            if name.startswith(".") or name.endswith((".o", ".a", ".ko", ".cmd", ".mod", ".mod.c", ".order")):
                continue
            try:
                facts = Path(directory, name).lstat()
            except OSError:
                continue
            digest.update(os.fsencode(f"{directory}/{name} {facts.st_size} {facts.st_mtime_ns}\n"))
    return digest.hexdigest()[:16]


def _require_room(needed: int, what: str) -> None:
    root = sources_root()
    root.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(root).free
    if free < needed:
        raise KbuildError(
            f"{root}: there is no room for {what}: {needed / 1e9:.1f} GB are needed, {free / 1e9:.1f} GB are free",
            hint="free some room, or set KBUILDPY_CACHE to a directory on another disk",
        )


@contextmanager
def _scratch() -> Iterator[Path]:
    path = Path(mkdtemp(prefix=".new-", dir=sources_root()))
    # (apt's own user has to get there)
    path.chmod(0o755)
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)
