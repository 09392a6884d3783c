# SPDX-License-Identifier: GPL-2.0-only
"""A copy of a module directory in the output, for a Kbuild file's own rules, which write beside the sources.

It is used where the system refuses an overlay; Kbuild is then asked about the copy. The debug information of objects
names the user's directory, as after an in-place build; files that the rules themselves write may name the copy.

Paths that leave the module directory (`$(src)/../common`) work in the copy too: the folders above the copy hold links
to the neighbours of the original folders. A private key is left out: a copy of it would not be safe, and a link would
let rules write to the user's file.
"""

from __future__ import annotations

import os
import shutil
import stat
from contextlib import suppress
from pathlib import Path
from typing import Any

from kbuildpy.kernel.cache import read_json, write_json
from kbuildpy.private_keys import is_private_key

_ANCESTORS = 4
_OF_KEYS = (".pem", ".key", ".priv", ".der", ".p12", ".pfx")
"""Endings of files that are looked at each time: versions before copied private keys."""
_LEFT_OUT = frozenset({".git", ".hg", ".svn", ".sconsign.dblite"})


def is_written(directory: Path, out: Path) -> bool:
    """Whether the copy of `directory` has a file that was written there and not copied."""
    copied, copy = _noted_sources(out), copy_path(directory, out)
    return any(
        name not in copied or (copied[name] != seen and not (copy / name).is_symlink())
        for name, seen in _sources(copy, copy / ".kbuildpy").items()
    )


def copy_path(directory: Path, out: Path) -> Path:
    """The path of the copy of `directory`, whether it exists or not."""
    return Path(f"{out}/.kbuildpy/sources{directory}")


def changed_sources(directory: Path, out: Path) -> set[str]:
    """The files and folders (relative to `directory`) that were added, changed or removed since the sources were copied
    or noted."""
    before, now = _noted_sources(out), _sources(directory, out)
    return {name for name in before.keys() | now.keys() if before.get(name) != now.get(name)}


def holds_output(folder: str) -> bool:
    """Whether `folder` is an output directory of any kbuildpy build. False for a folder that only contains one, because
    that may hold sources."""
    return os.path.exists(f"{folder}/.kbuildpy/notes")  # noqa: PTH110


def mark_as_output(folder: Path) -> None:
    """Let `folder` be taken for an output directory by `holds_output`."""
    (folder / ".kbuildpy").mkdir(exist_ok=True)
    (folder / ".kbuildpy" / "notes").touch()


def note_sources(directory: Path, out: Path) -> None:
    """Note the state of the sources after make carried out the Kbuild file's own rules, for `changed_sources`.

    Removes a copy of the sources that a run without an overlay left, because the note no longer describes it.
    """
    _remove(out)
    now = _sources(directory, out)
    if read_json(_manifest(out)) != now:
        write_json(_manifest(out), now)


def remove_copy(out: Path) -> None:
    """Remove the copy of the sources, which nothing needs."""
    _remove(out)
    _manifest(out).unlink(missing_ok=True)


def copy_sources(directory: Path, out: Path) -> Path:
    """Update the copy of `directory` in `out`; returns its path.

    Files keep their modification time, so that make sees which ones changed. Files that were removed from the sources
    are removed from the copy; files that rules made in the copy stay.
    """
    root = out / ".kbuildpy" / "sources"
    copy = copy_path(directory, out)
    copy.mkdir(parents=True, exist_ok=True)
    _link_neighbours(directory, root, skip=out)
    before, now = _noted_sources(out), _sources(directory, out)
    for relative, seen in now.items():
        if relative.endswith("/"):
            if (copy / relative[:-1]).is_symlink():
                (copy / relative[:-1]).unlink()
            (copy / relative).mkdir(exist_ok=True)
        elif before.get(relative) != seen or not os.path.lexists(copy / relative) or relative.endswith(_OF_KEYS):
            _copy(directory / relative, copy / relative, directory)
    for relative in [name for name in before.keys() - now.keys() if not name.endswith("/")]:
        with suppress(IsADirectoryError, NotADirectoryError):
            (copy / relative).unlink(missing_ok=True)
    if now != before:
        write_json(_manifest(out), now)
    return copy


def _remove(out: Path) -> None:
    copies = out / ".kbuildpy" / "sources"
    if copies.exists():
        shutil.rmtree(copies, ignore_errors=True)


def _noted_sources(out: Path) -> dict[str, Any]:
    """The state of the sources that was noted in `out`, as `_sources` gives it."""
    known = read_json(_manifest(out))
    return known if isinstance(known, dict) else {}


def _manifest(out: Path) -> Path:
    return out / ".kbuildpy" / "sources.json"


def _sources(directory: Path, out: Path) -> dict[str, list[int]]:
    """Every file below `directory` that is not output, with its stamp, and every folder (its name ends in a slash)
    before its files.

    A link to a folder and a dangling link count as files; pipes, sockets and devices are left out. Paths are strings
    for speed: there may be tens of thousands of files, and every build calls this.
    """
    found: dict[str, list[int]] = {}
    top, output = str(directory), str(out)
    for folder, names, files in os.walk(top):
        below = folder[len(top) + 1 :]
        prefix = f"{below}/" if below else ""
        names[:] = [name for name in names if name not in _LEFT_OUT and not _is_output(folder, name, output)]
        found[prefix or "./"] = [0, 0]
        links = [name for name in names if os.path.islink(f"{folder}/{name}")]  # noqa: PTH114
        for name in (*files, *links):
            state = _state(f"{folder}/{name}")
            if state:
                found[f"{prefix}{name}"] = state
    return found


def _state(path: str) -> list[int] | None:
    """The stamp of a file, of a link to a folder or of a dangling link; None for a pipe, a socket or a device."""
    with suppress(OSError):
        status = os.stat(path)  # noqa: PTH116
        if stat.S_ISREG(status.st_mode):
            return [status.st_mtime_ns, status.st_size]
    with suppress(OSError):
        status = os.lstat(path)
        if stat.S_ISLNK(status.st_mode):
            return [status.st_mtime_ns, status.st_size]
    return None


def _is_output(folder: str, name: str, out: str) -> bool:
    path = f"{folder}/{name}"
    return path == out or name == ".kbuildpy" or holds_output(path)


def _copy(source: Path, target: Path, directory: Path) -> None:
    """Copy a file, or a link to a folder or a dangling link as a link. A link that leads outside of `directory` becomes
    absolute, because its target is not copied."""
    if target.is_dir() and not target.is_symlink():
        shutil.rmtree(target)
    target.unlink(missing_ok=True)
    if is_private_key(source):
        return
    if source.is_file():
        shutil.copy2(source, target)
        return
    leads_to = source.readlink()
    real = Path(os.path.realpath(source))
    inside = real == directory or directory in real.parents
    target.symlink_to(leads_to if inside and not leads_to.is_absolute() else real)


def _link_neighbours(directory: Path, root: Path, *, skip: Path) -> None:
    for folder in list(directory.parents)[:_ANCESTORS]:
        if folder == folder.parent:
            break
        mirror = Path(f"{root}{folder}")
        present = {path.name for path in mirror.iterdir()} if mirror.is_dir() else set()
        with os.scandir(folder) as entries:
            for entry in entries:
                inside = entry.path == str(directory) or str(directory).startswith(f"{entry.path}/")
                if entry.name not in present and not inside and not str(skip).startswith(f"{entry.path}/"):
                    (mirror / entry.name).symlink_to(entry.path)
