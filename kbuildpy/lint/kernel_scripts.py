# SPDX-License-Identifier: GPL-2.0-only
"""Finds the scripts of the kernel's sources that checkers run: checkpatch.pl and scripts/coccinelle.

Headers packages lack them. Debian's linux-source packages have them in an archive; out of that, they are taken once,
which takes as long as unpacking it (half a minute), and kept in the user's cache.
"""

from __future__ import annotations

import lzma
import re
import shutil
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path, PurePosixPath

from kbuildpy.errors import KbuildError
from kbuildpy.kbuild.stamps import digest, stamp
from kbuildpy.kernel.cache import cache_directory
from kbuildpy.kernel.tree import KernelTree
from kbuildpy.say import complain

_WANTED = re.compile(
    r"scripts/(?:checkpatch\.pl|spelling\.txt|const_structs\.checkpatch|coccinelle/(?:[\w-]+/)*[\w-]+\.cocci)"
)
_SOURCES = Path("/usr/src")
_LIMIT = 1 << 22
"""Bytes of the largest file that is taken out of an archive; checkpatch.pl has 250,000."""


def kernel_script(name: str, tree: KernelTree, folder: Path | None = None) -> Path:
    """The script or folder `name` below `scripts/`: of `folder` if that is given, else of the tree, else of the
    linux-source package that is most like it.

    Raises `KbuildError` where it is in none of them.
    """
    if folder is not None:
        path = folder / name
        if not path.exists():
            raise KbuildError(
                f"{folder}: no {name} there", hint="--scripts names the folder scripts/ of kernel sources"
            )
        return path
    for place in (tree.source, tree.objects):
        if (place / "scripts" / name).exists():
            return place / "scripts" / name
    for source in _sources(tree):
        scripts = source / "scripts" if source.is_dir() else _from_archive(source)
        if (scripts / name).exists():
            return scripts / name
    line = ".".join(map(str, tree.version))
    raise KbuildError(
        f"scripts/{name}: not in {tree.source}, and no sources of the kernel are installed",
        hint=f"apt-get install linux-source-{line}, or name the folder scripts/ of kernel sources with --scripts",
    )


def _sources(tree: KernelTree) -> Iterator[Path]:
    """The sources of kernels on this system: of the tree's own line first, else the newest one first."""

    def order(path: Path) -> tuple[bool, list[int]]:
        numbers = [int(number) for number in re.findall(r"\d+", path.name.removesuffix(".tar.xz"))]
        return tuple(numbers[:2]) == tree.version, numbers

    found = [path for path in _SOURCES.glob("linux-source-*") if path.is_dir() or path.name.endswith(".tar.xz")]
    yield from sorted(found, key=order, reverse=True)


def _from_archive(archive: Path) -> Path:
    """The folder of the scripts that were taken out of `archive`, now or earlier."""
    place = cache_directory() / "kernel_scripts" / digest(str(archive), stamp(archive))
    if not place.is_dir():
        complain(f"kbuildpy: taking checkpatch.pl and the scripts of coccinelle out of {archive}, once")
        place.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=place.parent) as scratch:
            _take_out(archive, Path(scratch, "new"))
            # (another process may have been quicker)
            with suppress(OSError):
                Path(scratch, "new").rename(place)
    return place / "scripts"


def _take_out(archive: Path, place: Path) -> None:
    place.mkdir()
    try:
        # (tarfile's own decompression takes an archive that is cut off for one that ends there)
        with lzma.open(archive) as plain, tarfile.open(fileobj=plain, mode="r|") as files:
            for member in files:
                name = str(PurePosixPath(*PurePosixPath(member.name).parts[1:]))
                content = files.extractfile(member) if member.isreg() and member.size <= _LIMIT else None
                if content is not None and _WANTED.fullmatch(name):
                    (place / name).parent.mkdir(parents=True, exist_ok=True)
                    with (place / name).open("wb") as file:
                        shutil.copyfileobj(content, file)
    except (tarfile.TarError, lzma.LZMAError, EOFError, OSError) as error:
        raise KbuildError(
            f"{archive}: cannot be read: {error}", hint="apt-get install --reinstall its package"
        ) from error
