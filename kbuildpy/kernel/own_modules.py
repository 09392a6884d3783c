"""A kernel's own modules: what is below `kernel/` in `/lib/modules/RELEASE`.

depmod lists them in `modules.dep`; a package that was only unpacked has no such list, and is walked through.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from kbuildpy.errors import CommandError, KbuildError
from kbuildpy.kernel.release import is_release

_NAME_LENGTH = 64 - 8
_AGAIN = "the file is damaged: build, compress or copy it again"
_MODULE = re.compile(r"(?:.*/)?([^/]+)\.ko(?:\.(?:gz|xz|zst|lz4|lzma|bz2))?")


class ListedModule(NamedTuple):
    """A line of depmod's list: a module's name, its file's path below the directory, and all modules that it needs,
    each after what it needs itself."""

    name: str
    path: str
    needs: tuple[str, ...]


@lru_cache(maxsize=8)
def read_modules_dep(directory: Path) -> tuple[ListedModule, ...]:
    """`modules.dep` of `directory`, whose lines end with what is loaded first. Raises OSError if it cannot be read."""
    lines = (directory / "modules.dep").read_text(errors="surrogateescape").splitlines()
    pairs = (line.partition(":") for line in lines)
    return tuple(
        ListedModule(module_name(path), path, tuple(module_name(item) for item in reversed(needs.split())))
        for path, _, needs in pairs
    )


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


def modules_needed(directory: Path, name: str) -> tuple[str, ...] | None:
    """The names of all modules that module `name` needs, each after what it needs itself; None if `directory` has no
    such module.

    From depmod's list, whose lines end with what is loaded first; without one, from what modpost wrote into the
    modules. Raises `KbuildError` for a file that cannot be read or decompressed.
    """
    name = module_name(name)
    listed = _listed_needs(directory)
    if listed is not None:
        return listed.get(name)
    if name not in own_modules(directory):
        return None
    order: list[str] = []
    for below in _stated_needs(directory, name):
        order += [item for item in (*(modules_needed(directory, below) or ()), below) if item not in order]
    return tuple(order)


@lru_cache(maxsize=8)
def built_in_names(directory: Path) -> frozenset[str] | None:
    """The names of what would be modules but is built into the kernel (modules.builtin, modules.builtin.modinfo); None
    where `directory` does not tell.

    Most of those with parameters have a directory in /sys/module as modules have.
    """
    try:
        listed = (directory / "modules.builtin").read_text(errors="surrogateescape").split()
        stated = (directory / "modules.builtin.modinfo").read_bytes().split(b"\0")
    except OSError:
        return None
    names = {entry.partition(b".")[0].decode("utf-8", "surrogateescape") for entry in stated if entry}
    return frozenset(names | {module_name(path) for path in listed})


def stated_needs(contents: bytes) -> tuple[str, ...]:
    """The names in `depends=` of a module, found without taking it apart: it may be damaged."""
    return tuple(name for name in _stated(contents, b"\0depends=").replace("-", "_").split(",") if name)


def stated_release(contents: bytes) -> str:
    """The release of the kernel that a module was built for, as its `vermagic=` says, found in the same way; "" if it
    does not say, or not what can be one."""
    release = _stated(contents, b"\0vermagic=").split(" ")[0]
    return release if is_release(release) else ""


def _stated(contents: bytes, tag: bytes) -> str:
    start = contents.find(tag)
    if start < 0:
        return ""
    start += len(tag)
    return contents[start : contents.find(b"\0", start)].decode("utf-8", "replace")


@lru_cache(maxsize=8)
def _listed_needs(directory: Path) -> Mapping[str, tuple[str, ...]] | None:
    try:
        return {item.name: item.needs for item in read_modules_dep(directory)}
    except OSError:
        return None


@lru_cache(maxsize=8192)
def _stated_needs(directory: Path, name: str) -> tuple[str, ...]:
    return stated_needs(module_contents(directory, name) or b"")


def read_module(path: Path) -> bytes:
    """The module in the file `path`, decompressed. Raises `KbuildError` naming the file."""
    from kbuildpy.compression import decompress

    try:
        return decompress(path.read_bytes())
    except OSError as error:
        hint = "let this user read it, or run this as one who may" if isinstance(error, PermissionError) else ""
        raise KbuildError(f"{path}: {error.strerror}", hint=hint) from error
    except CommandError as error:  # (the program for it did not run: that says nothing of the file)
        raise KbuildError(f"{path}: {error.message}", hint=error.hint) from error
    except KbuildError as error:
        raise KbuildError(f"{path}: {error.message}", hint=error.hint or _AGAIN) from error


def packed_head(path: Path) -> bytes:
    """The beginning of the module file `path` if it is compressed, else nothing; what a kernel that unpacks modules
    itself looks at first. Nothing also for a file that cannot be read."""
    from kbuildpy.compression import compression_of

    try:
        with path.open("rb") as file:
            head = file.read(2048)
    except OSError:
        return b""
    return head if compression_of(head) else b""


def module_name(path: str) -> str:
    """What the kernel calls the module in the file (or of the name) `path`: KBUILD_MODNAME."""
    found = _MODULE.fullmatch(path)
    return (found[1] if found else path.rpartition("/")[2]).replace("-", "_")


def is_module_name(name: str) -> bool:
    """Whether a module can be called `name`, so that it is one component of a path and one word: printable, without
    spaces and slashes, and short enough for `struct module` (include/linux/module.h: MODULE_NAME_LEN, on 64 bits)."""
    return (
        name.isprintable()
        and not {" ", "/"} & set(name)
        and name not in {"", ".", ".."}
        and len(name.encode()) < _NAME_LENGTH
    )


@lru_cache(maxsize=8)
def own_modules(directory: Path) -> Mapping[str, Path]:
    """The files of the modules in `directory` (`.../lib/modules/RELEASE`), by name."""
    try:
        listed = read_modules_dep(directory)
    except FileNotFoundError:
        return {module_name(path): Path(path) for path in walk_modules(directory)}
    except OSError as error:
        raise KbuildError(f"{directory / 'modules.dep'}: {error.strerror}") from error
    return {item.name: directory / item.path for item in listed if item.path.startswith("kernel/")}


def walk_modules(directory: Path) -> Iterator[str]:
    """The files of the modules below `directory`/kernel, in a fixed order."""
    for folder, names, files in os.walk(directory / "kernel"):
        names.sort()
        for file in sorted(files):
            if _MODULE.fullmatch(file):
                yield f"{folder}/{file}"
