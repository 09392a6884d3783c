# SPDX-License-Identifier: GPL-2.0-only
"""Changes the modules of one kernel as a transaction: all of the new files at once, or none.

The changed directories (on Debian one, `updates/dkms`) are made anew beside /lib/modules/RELEASE, of hard links and new
files; a journal says what is to be done; each directory then changes places with its new one in a single step. After
that come DKMS' link and depmod. A process that is killed before the first exchange leaves the old state; after it, the
next call finds the journal and finishes. The directory that was replaced stays, as the previous set.

Where directories cannot be exchanged (some file systems of containers), the files are replaced one by one, under the
same journal, and no previous set is kept.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from kbuildpy.dkms.places import DkmsPlaces
from kbuildpy.errors import CommandError, KbuildError
from kbuildpy.exchange import NO_EXCHANGE, exchange, sync_directory, sync_tree
from kbuildpy.files import replacing
from kbuildpy.run import run, with_sbin

_BOOT = Path("/boot")


@dataclass(frozen=True)
class SetChange:
    """A change of the modules of a kernel."""

    kernel: str
    arch: str
    files: Mapping[str, str | None]
    """Paths below /lib/modules/RELEASE: the file that comes there, or None to remove what is there."""
    links: Mapping[str, str | None]
    """Packages by name: the version that is installed from now on, or None."""


@dataclass(frozen=True)
class _Journal:
    kernel: str
    arch: str
    directories: Mapping[str, int]
    """The directories that are exchanged, below /lib/modules/RELEASE: the inodes of their new ones."""
    links: Mapping[str, str | None]
    before: Mapping[str, str | None]
    """What `links` were before."""


def switch(places: DkmsPlaces, change: SetChange, *, depmod: bool = True) -> None:
    """Carry `change` out. Raises `KbuildError`, and then the old state is as it was, but for a failing depmod: that is
    tried again by `finish`."""
    root = places.install_tree / change.kernel
    stage = _stage(places, change.kernel)
    try:
        shutil.rmtree(stage, ignore_errors=True)
        # (a change of links alone stages no directory, such as of modules that the kernel has in the same version)
        stage.parent.mkdir(parents=True, exist_ok=True)
        directories = {}
        for name in _tops(change.files):
            _stage_directory(root, stage, name, change.files)
            directories[name] = (stage / name).stat().st_ino
        sync_tree(stage)
        sync_directory(stage.parent)
        before = {name: linked_version(places, name, change.kernel, change.arch) for name in change.links}
        _write_journal(places, _Journal(change.kernel, change.arch, directories, dict(change.links), before))
    except OSError as error:
        shutil.rmtree(stage, ignore_errors=True)
        raise KbuildError(
            f"{error.filename or stage}: {error.strerror}",
            hint="nothing was changed: the modules that were installed stay",
        ) from error
    finish(places, change.kernel, depmod=depmod)


def finish(places: DkmsPlaces, kernel: str = "", *, depmod: bool = True) -> list[str]:
    """Finish the changes that were begun, of `kernel` or of all; the releases. Raises `KbuildError`."""
    finished = []
    for path in sorted(_journals(places).glob("*.json")):
        journal = _read_journal(path)
        if journal is None or (kernel and journal.kernel != kernel):
            continue
        root, stage = places.install_tree / journal.kernel, _stage(places, journal.kernel)
        for name, inode in journal.directories.items():
            _take_place(root / name, stage / name, inode)
            _remove_empty(root, name)
        for name, version in journal.links.items():
            _link(places, name, version, journal)
        if depmod and root.is_dir():
            _depmod(places, journal.kernel)
        _keep_previous(places, journal)
        path.unlink()
        sync_directory(path.parent)
        finished.append(journal.kernel)
    return finished


def roll_back(places: DkmsPlaces, kernel: str, *, depmod: bool = True) -> dict[str, str | None]:
    """Let the modules of a kernel be as they were before the last change, which can be taken back in the same way; the
    packages that change, with the version that is installed then. Raises `KbuildError` where there is no previous set,
    or a version of it is no more built."""
    note, previous, stage = _previous_note(places, kernel), previous_set(places, kernel), _stage(places, kernel)
    try:
        kept = json.loads(note.read_text())
        arch, names, links = str(kept["arch"]), list(map(str, kept["directories"])), dict(kept["links"])
    except (OSError, ValueError, TypeError, KeyError):
        previous, arch, names, links = Path("/nonexistent"), "", [], {}
    if not previous.is_dir():
        raise KbuildError(f"{kernel}: no previous set of modules is kept", hint="each change of the modules keeps one")
    for name, version in links.items():
        if version is not None and not places.built(name, version, kernel, arch).is_dir():
            raise KbuildError(
                f"{name}/{version} is no longer built for {kernel}",
                hint=f"build and install it: kbuildpy dkms install {name}/{version} -k {kernel}",
            )
    shutil.rmtree(stage, ignore_errors=True)
    directories = {}
    for name in names:
        (previous / name).mkdir(parents=True, exist_ok=True)
        directories[name] = (previous / name).stat().st_ino
    previous.rename(stage)
    before = {name: linked_version(places, name, kernel, arch) for name in links}
    _write_journal(places, _Journal(kernel, arch, directories, links, before))
    finish(places, kernel, depmod=depmod)
    return links


def begun(places: DkmsPlaces) -> list[str]:
    """The releases of kernels whose modules a process that was killed has begun to change."""
    return sorted(path.stem for path in _journals(places).glob("*.json"))


def previous_set(places: DkmsPlaces, kernel: str) -> Path:
    """Where the directories of a kernel are that the last change replaced."""
    return places.install_tree / ".kbuildpy" / f"{kernel}.previous"


def linked_version(places: DkmsPlaces, name: str, kernel: str, arch: str) -> str | None:
    """The version of a package that is installed for a kernel, by DKMS' link."""
    try:
        return places.active(name, kernel, arch).readlink().parts[0]
    except (OSError, IndexError):
        return None


def _stage(places: DkmsPlaces, kernel: str) -> Path:
    # (not in the kernel's own folder, where depmod would find it; but in its file system)
    return places.install_tree / ".kbuildpy" / f"{kernel}.new"


def _tops(files: Mapping[str, str | None]) -> list[str]:
    """The folders of `files`, without those that are in another one of them."""
    folders = sorted({str(Path(name).parent) for name in files})
    return [name for name in folders if not any(name.startswith(f"{other}/") for other in folders)]


def _stage_directory(root: Path, stage: Path, name: str, files: Mapping[str, str | None]) -> None:
    """Make the new directory `name`: what the old one has, by hard links, with the changes."""
    new = stage / name
    new.parent.mkdir(parents=True, exist_ok=True)
    changed = {str(root / path) for path in files}
    if (root / name).is_dir():
        shutil.copytree(
            root / name,
            new,
            symlinks=True,
            copy_function=_hard_link,
            ignore=lambda folder, names: {each for each in names if f"{folder}/{each}" in changed},
        )
    else:
        new.mkdir()
    for path, source in files.items():
        if source is not None and (path.startswith(f"{name}/")):
            target = stage / path
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, target)
            target.chmod(0o644)


def _hard_link(source: str, target: str) -> None:
    try:
        os.link(source, target, follow_symlinks=False)
    except OSError:
        # (another file system, or one without hard links)
        shutil.copy2(source, target, follow_symlinks=False)


def _take_place(old: Path, new: Path, inode: int) -> None:
    """Exchange the directory `old` for `new`, unless that was done before."""
    try:
        if old.is_dir() and old.stat().st_ino == inode:
            return
        if not new.is_dir() or new.stat().st_ino != inode:
            return
        old.parent.mkdir(parents=True, exist_ok=True)
        try:
            if old.is_dir():
                exchange(new, old)
            else:
                new.rename(old)
        except OSError as error:
            if error.errno not in NO_EXCHANGE:
                raise
            _take_over(old, new)
        sync_directory(old.parent)
        if new.parent.is_dir():
            sync_directory(new.parent)
    except OSError as error:
        raise KbuildError(
            f"{old}: cannot be exchanged for its new contents: {error.strerror}",
            hint="the change is finished by the next call of kbuildpy dkms",
        ) from error


def _take_over(old: Path, new: Path) -> None:
    """Let the directory `old` have the contents of `new`, file by file: each is the old one or the new one. It can be
    done again, for `new` stays."""
    names = set()
    for path in sorted(new.rglob("*")):
        name = path.relative_to(new)
        names.add(name)
        target = old / name
        if path.is_dir() and not path.is_symlink():
            target.mkdir(parents=True, exist_ok=True)
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        beside = target.with_name(f".{target.name}.new~")
        beside.unlink(missing_ok=True)
        shutil.copy2(path, beside, follow_symlinks=False)
        beside.replace(target)
    for path in sorted(old.rglob("*"), reverse=True):
        if path.relative_to(old) not in names:
            path.rmdir() if path.is_dir() and not path.is_symlink() else path.unlink()
    sync_tree(old)


def _remove_empty(root: Path, name: str) -> None:
    for folder in (name, *(str(parent) for parent in Path(name).parents)):
        if folder == ".":
            return
        with suppress(OSError):
            (root / folder).rmdir()


def _link(places: DkmsPlaces, name: str, version: str | None, journal: _Journal) -> None:
    link = places.active(name, journal.kernel, journal.arch)
    if version is None:
        link.unlink(missing_ok=True)
    else:
        beside = link.with_name(f".{link.name}.new~")
        beside.unlink(missing_ok=True)
        beside.symlink_to(f"{version}/{journal.kernel}/{journal.arch}")
        beside.replace(link)
    if link.parent.is_dir():
        sync_directory(link.parent)


def _depmod(places: DkmsPlaces, kernel: str) -> None:
    system_map = _BOOT / f"System.map-{kernel}"
    options = ["-F", str(system_map)] if system_map.is_file() else []
    tree = places.install_tree
    # (depmod takes the folder above lib/modules)
    base = ["-b", str(tree.parents[1])] if tree.parts[-2:] == ("lib", "modules") and len(tree.parts) > 3 else []
    if not base and tree != Path("/lib/modules"):
        return
    done = run(["depmod", *base, *options, kernel], env=with_sbin(dict(os.environ)), check=False)
    if done.returncode != 0:
        raise CommandError(
            f"depmod failed for {kernel}: {done.error_text.strip()}",
            hint="the modules are in place; the next call of kbuildpy dkms runs depmod again",
            returncode=done.returncode,
        )


def _journals(places: DkmsPlaces) -> Path:
    return places.state / "journal"


def _write_journal(places: DkmsPlaces, journal: _Journal) -> None:
    folder = _journals(places)
    folder.mkdir(parents=True, exist_ok=True)
    with replacing(folder / f"{journal.kernel}.json") as file:
        file.write(json.dumps(asdict(journal)).encode(), mode=0o644)
    sync_directory(folder)


def _read_journal(path: Path) -> _Journal | None:
    try:
        return _Journal(**json.loads(path.read_text()))
    except (OSError, ValueError, TypeError):
        return None


def _keep_previous(places: DkmsPlaces, journal: _Journal) -> None:
    previous, stage = previous_set(places, journal.kernel), _stage(places, journal.kernel)
    if not stage.is_dir():
        return
    new = {name: stage / name for name in journal.directories}
    if any(path.is_dir() and path.stat().st_ino == journal.directories[name] for name, path in new.items()):
        # (it was copied, and is no previous set)
        _previous_note(places, journal.kernel).unlink(missing_ok=True)
        shutil.rmtree(previous, ignore_errors=True)
        shutil.rmtree(stage, ignore_errors=True)
        return
    kept = {"arch": journal.arch, "directories": sorted(journal.directories), "links": dict(journal.before)}
    note = _previous_note(places, journal.kernel)
    note.parent.mkdir(parents=True, exist_ok=True)
    with replacing(note) as file:
        file.write(json.dumps(kept).encode(), mode=0o644)
    shutil.rmtree(previous, ignore_errors=True)
    with suppress(OSError):
        stage.rename(previous)


def _previous_note(places: DkmsPlaces, kernel: str) -> Path:
    return places.state / "previous" / f"{kernel}.json"
