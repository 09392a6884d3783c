"""A kernel's own modules: what is below `kernel/` in `/lib/modules/RELEASE`.

depmod lists them in `modules.dep`; a package that was only unpacked has no such list, and is walked through.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from pathlib import Path

from kbuildpy.errors import KbuildError

_MODULE = re.compile(r"(?:.*/)?([^/]+)\.ko(?:\.(?:gz|xz|zst))?")


def modules_directory(release: str, *, root: Path = Path("/")) -> Path | None:
    """The directory `lib/modules/RELEASE` below `root` (or `usr/lib`) that has the modules of kernel `release`."""
    if "/" in release or release in {"", ".", ".."}:
        return None
    for top in ("lib/modules", "usr/lib/modules"):
        directory = root / top / release
        if (directory / "kernel").is_dir():
            return directory
    return None


def module_contents(directory: Path, name: str) -> bytes | None:
    """The bytes of module `name` (with - or _), decompressed; None if `directory` has no such module.

    Raises `KbuildError` for a file that cannot be read or decompressed.
    """
    path = own_modules(directory).get(module_name(name))
    return None if path is None else read_module(path)


def read_module(path: Path) -> bytes:
    """The module in the file `path`, decompressed. Raises `KbuildError` naming the file."""
    from kbuildpy.compression import decompress

    try:
        return decompress(path.read_bytes())
    except OSError as error:
        raise KbuildError(f"{path}: {error.strerror}") from error
    except KbuildError as error:
        raise KbuildError(f"{path}: {error.message}", hint=error.hint) from error


def module_name(path: str) -> str:
    """What the kernel calls the module in the file (or of the name) `path`: KBUILD_MODNAME."""
    found = _MODULE.fullmatch(path)
    return (found[1] if found else path.rpartition("/")[2]).replace("-", "_")


@lru_cache(maxsize=8)
def own_modules(directory: Path) -> Mapping[str, Path]:
    """The files of the modules in `directory` (`.../lib/modules/RELEASE`), by name."""
    listing = directory / "modules.dep"
    try:
        lines = listing.read_text(errors="surrogateescape").splitlines()
    except FileNotFoundError:
        return {module_name(path): Path(path) for path in walk_modules(directory)}
    except OSError as error:
        raise KbuildError(f"{listing}: {error.strerror}") from error
    paths = (line.partition(":")[0] for line in lines)
    return {module_name(path): directory / path for path in paths if path.startswith("kernel/")}


def walk_modules(directory: Path) -> Iterator[str]:
    """The files of the modules below `directory`/kernel, in a fixed order."""
    for folder, names, files in os.walk(directory / "kernel"):
        names.sort()
        for file in sorted(files):
            if _MODULE.fullmatch(file):
                yield f"{folder}/{file}"
