# SPDX-License-Identifier: GPL-2.0-only
"""Fetches kernels: their packages, as apt offers and verifies them, unpacked in the user's cache. No root is needed.

Everything is unpacked beside its place and renamed when it is whole, a kernel's own headers last, because these make a
kernel count (`fetched`). What kernels share (common headers, Kbuild's programs) is unpacked once. One process at a time
writes there; what a killed one left is removed by the next.

Absolute paths in the packages lead to /usr/src: the lines of a headers package's Makefile, and the links in
lib/modules. All become relative here, so the whole directory can be mounted or moved elsewhere.
"""

from __future__ import annotations

import errno
import os
import re
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Event, Thread

from kbuildpy.errors import KbuildError
from kbuildpy.kernel.debian import download, no_room, unpack
from kbuildpy.kernel.fetched import fetched_root, fetched_tree
from kbuildpy.kernel.locked import locked
from kbuildpy.kernel.offered import OfferedKernel, OfferedPackage
from kbuildpy.kernel.tree import KernelTree
from kbuildpy.parallel import in_threads
from kbuildpy.run import run, with_sbin

SCRATCH = ".new-"
"""What the names of directories begin with that are written or removed right now."""
NOTES = ".packages"
"""The directory with a note for each package: its version, and the places that its files came to."""

Advance = Callable[[int], object]
"""Is told how many more bytes were downloaded, and of how many bytes packages were unpacked since."""

_AT_ONCE = 12
"""Packages for one call of apt-get: enough for its start not to count, few enough for a kernel to be done early."""
_USR_SRC = re.compile(r"^include /usr/src/(?=[^/\s]+/Makefile$)", re.MULTILINE)
_OUTPUT = re.compile(r"^KBUILD_OUTPUT\s*:?=\s*/usr/src/[^/\s]+$", re.MULTILINE)
_OWN_FOLDER = "KBUILD_OUTPUT := $(realpath $(dir $(lastword $(MAKEFILE_LIST))))"


@dataclass(frozen=True)
class FetchedKernel:
    """A kernel of which all that was asked for is here."""

    release: str
    tree: KernelTree
    image: bool
    """Its image and its modules are here, too."""
    packages: tuple[OfferedPackage, ...]
    """Those that were downloaded for it now; none if all were here."""


@dataclass(frozen=True)
class _Part:
    """Packages that are unpacked in one directory, and come to their places together."""

    packages: tuple[OfferedPackage, ...]
    image_of: str = ""
    """The release whose image and modules they are; "" for other packages."""


def fetch_kernels(
    kernels: Sequence[OfferedKernel], *, images: bool, advance: Advance | None = None, jobs: int = 1
) -> Iterator[FetchedKernel]:
    """Fetch the headers of `kernels`, with `images` also their images and modules; each as soon as it is here.

    What is here in the version that apt offers stays as it is. `jobs` packages are unpacked at a time. Waits while
    another process fetches. Raises `KbuildError` for a package that cannot be had, a damaged one, and a disk without
    room; what was fetched before stays.
    """
    root = fetched_root()
    with alone(root), _told_of_a_full_disk(root):
        _mend_makefiles(root)  # (of headers that an older version fetched)
        _check_room(root, [part for kernel in kernels for part in _missing(root, kernel, images=images)])
        rest = list(kernels)
        while rest:
            group, parts = _next_group(root, rest, images=images)
            _fetch_parts(root, parts, advance or (lambda _: None), jobs)
            del rest[: len(group)]
            told: set[str] = set()
            for kernel in group:
                wanted = [package for part in _parts(kernel, images=images) for package in part.packages]
                now = {package.name for part in parts for package in part.packages} - told
                mine = tuple(package for package in wanted if package.name in now)
                told |= {package.name for package in mine}
                yield FetchedKernel(kernel.release, _tree_of(kernel), has_image(kernel.release), mine)


def size_to_fetch(kernels: Sequence[OfferedKernel], *, images: bool) -> int:
    """The bytes that `fetch_kernels` would download."""
    root = fetched_root()
    parts = {part: None for kernel in kernels for part in _missing(root, kernel, images=images)}
    return sum(package.size for part in parts for package in part.packages)


def has_image(release: str) -> bool:
    """Whether the image and the modules of `release` were fetched with its headers."""
    return _image_at(fetched_root(), release) is not None


@contextmanager
def alone(root: Path) -> Iterator[None]:
    """Let no other process write below `root`, and remove what a killed one left there."""
    with locked(root, what="fetches kernels"):
        for left in root.glob(f"{SCRATCH}*"):
            _remove_left(left)
        yield


def _remove_left(directory: Path) -> None:
    """Remove what a killed process left. Its programs end with it, but may still write for a moment."""
    for _ in range(50):
        shutil.rmtree(directory, ignore_errors=True)
        if not directory.exists():
            return
        time.sleep(0.1)


def _parts(kernel: OfferedKernel, *, images: bool) -> list[_Part]:
    """What `kernel` consists of, in the order in which it comes to its place."""
    *shared, own = (_Part((package,)) for package in kernel.headers)
    image = [_Part(kernel.image, kernel.release)] if images and kernel.image else []
    return [*shared, *image, own]


def _missing(root: Path, kernel: OfferedKernel, *, images: bool) -> list[_Part]:
    return [part for part in _parts(kernel, images=images) if not _is_here(root, part)]


def _is_here(root: Path, part: _Part) -> bool:
    if part.image_of and _image_at(root, part.image_of) is None:
        return False
    return all(_is_noted(root, package) for package in part.packages)


def _is_noted(root: Path, package: OfferedPackage) -> bool:
    """Whether `package` was put to its places in this version, and these are there."""
    try:
        version, *places = (root / NOTES / package.name).read_text().splitlines()
    except (OSError, ValueError):
        return False
    return version == package.version and all((root / place).exists() for place in places)


def _image_at(root: Path, release: str) -> Path | None:
    places = (root / f"boot/vmlinuz-{release}", root / "lib/modules" / release / "vmlinuz")
    modules = (root / "lib/modules" / release / "kernel").is_dir()
    return next((place for place in places if modules and place.is_file()), None)


def _next_group(
    root: Path, kernels: Sequence[OfferedKernel], *, images: bool
) -> tuple[list[OfferedKernel], list[_Part]]:
    """The first of `kernels`, and what is missing of them, each part once."""
    group: list[OfferedKernel] = []
    parts: dict[_Part, None] = {}
    for kernel in kernels:
        group.append(kernel)
        parts.update(dict.fromkeys(_missing(root, kernel, images=images)))
        if sum(len(part.packages) for part in parts) >= _AT_ONCE:
            break
    return group, list(parts)


def _fetch_parts(root: Path, parts: Sequence[_Part], advance: Advance, jobs: int) -> None:
    if not parts:
        return
    with TemporaryDirectory(prefix=SCRATCH, dir=root) as name:
        scratch = Path(name)
        archives = scratch / "archives"
        archives.mkdir()
        # apt's own user has to get there
        scratch.chmod(0o755)
        with _watched(archives, advance):
            download([package.word for part in parts for package in part.packages], archives)
        for part, unpacked in in_threads(lambda part: _unpacked(part, scratch), parts, jobs=jobs, in_order=True):
            _put(root, part, unpacked)
            shutil.rmtree(unpacked)
            advance(sum(package.size for package in part.packages))


def _unpacked(part: _Part, scratch: Path) -> tuple[_Part, Path]:
    """Unpack `part` below `scratch`, and mend it there."""
    directory = scratch / part.packages[0].name
    directory.mkdir()
    for package in part.packages:
        [archive] = (scratch / "archives").glob(f"{package.name}_*.deb")
        unpack(archive, directory)
        archive.unlink()
    _mend_makefiles(directory)
    # (Debian 13 has no /lib of its own)
    merged = directory / "usr/lib/modules"
    if merged.is_dir() and not (directory / "lib/modules").is_dir():
        (directory / "lib").mkdir(exist_ok=True)
        merged.rename(directory / "lib/modules")
    for link in directory.glob("lib/modules/*/*"):
        if link.is_symlink() and str(link.readlink()).startswith("/usr/src/"):
            target = f"../../..{link.readlink()}"
            link.unlink()
            link.symlink_to(target)
    if part.image_of and (directory / "lib/modules" / part.image_of / "kernel").is_dir():
        _index_modules(directory, part.image_of)
    return part, directory


def _mend_makefiles(root: Path) -> None:
    for makefile in root.glob("usr/src/linux-headers-*/Makefile"):
        if makefile.is_symlink():
            continue
        text = makefile.read_text(errors="surrogateescape")
        mended = movable_makefile(text)
        if mended != text:
            makefile.write_text(mended, errors="surrogateescape")


def movable_makefile(text: str) -> str:
    """The Makefile `text` of a headers package, without paths in /usr/src: for headers that lie elsewhere, side by
    side. From 7.2 on it names its own folder, in which make does not stand when it is read."""
    if not _OUTPUT.search(text):
        return _USR_SRC.sub("include ../", text)
    return _USR_SRC.sub("include $(KBUILD_OUTPUT)/../", _OUTPUT.sub(lambda found: _OWN_FOLDER, text))


def _index_modules(directory: Path, release: str) -> None:
    """Have depmod write the indexes of modules, as the package does when it is installed."""
    system_map = directory / "boot" / f"System.map-{release}"
    exported: list[str | Path] = ["-F", system_map] if system_map.is_file() else []
    env = with_sbin(os.environ)
    # (without depmod, as in a container, the modules are walked through when they are needed)
    if shutil.which("depmod", path=env["PATH"]):
        run(["depmod", "-b", directory, *exported, release], env=env)


def _put(root: Path, part: _Part, unpacked: Path) -> None:
    """Rename what is in `unpacked` to its places below `root`: whole directories, what a kernel is found by last."""
    directories = [*unpacked.glob("usr/lib/linux-kbuild-*"), *unpacked.glob("usr/src/linux-headers-*")]
    modules = [path for path in unpacked.glob("lib/modules/*/*") if path.name != "kernel"]
    kernels = [*unpacked.glob("lib/modules/*/kernel"), *unpacked.glob("boot/vmlinuz-*")]
    places = [*modules, *(path for path in unpacked.glob("boot/*") if path not in kernels), *kernels, *directories]
    for path in places:
        _replace(path, root / path.relative_to(unpacked))
    (root / NOTES).mkdir(exist_ok=True)
    found = [str(path.relative_to(unpacked)) for path in (*directories, *kernels)]
    for package in part.packages:
        note = root / NOTES / package.name
        beside = note.with_name(f".{note.name}")
        beside.write_text("\n".join([package.version, *found, ""]))
        beside.replace(note)


def _replace(path: Path, place: Path) -> None:
    """Rename `path` to `place`; what was there, of another version, is removed."""
    place.parent.mkdir(parents=True, exist_ok=True)
    if place.is_dir() and not place.is_symlink():
        old = path.with_name(f"{path.name}.old")
        place.rename(old)
        path.rename(place)
        shutil.rmtree(old)
    else:
        path.replace(place)


def _tree_of(kernel: OfferedKernel) -> KernelTree:
    tree = fetched_tree(kernel.release)
    if tree is None:
        raise KbuildError(
            f"{kernel.headers[-1].name} {kernel.headers[-1].version} was unpacked, but no kernel tree of "
            f"{kernel.release} is in it: its layout is not known",
            hint=f"install it: apt-get install {kernel.headers[-1].name}",
        )
    return tree


def _check_room(root: Path, parts: Sequence[_Part]) -> None:
    packages = {package for part in parts for package in part.packages}
    needed = sum(package.size + package.unpacked_size for package in packages)
    free = shutil.disk_usage(root).free
    if needed > free:
        raise KbuildError(
            f"{root}: there is no room: {_megabytes(needed)} are needed, {_megabytes(free)} are free",
            hint="fetch fewer kernels, remove some (kbuildpy kernels --remove PATTERN), or set KBUILDPY_CACHE to a "
            "directory on another disk",
        )


def _megabytes(size: int) -> str:
    return f"{size / 1_000_000:.0f} MB"


@contextmanager
def _told_of_a_full_disk(root: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise no_room(root) from error
        raise


@contextmanager
def _watched(directory: Path, advance: Advance) -> Iterator[None]:
    """Tell `advance` of the bytes that come to `directory` meanwhile."""
    ended = Event()
    seen = 0

    def watch() -> None:
        nonlocal seen
        while True:
            last = ended.wait(0.2)
            now = _bytes_in(directory)
            advance(max(now - seen, 0))
            seen = max(now, seen)
            if last:
                return

    watcher = Thread(target=watch)
    with ExitStack() as stack:
        stack.callback(watcher.join)
        stack.callback(ended.set)
        watcher.start()
        yield


def _bytes_in(directory: Path) -> int:
    total = 0
    for path in directory.rglob("*"):
        try:
            total += path.stat().st_size
        except OSError:
            continue
    return total
