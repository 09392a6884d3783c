# SPDX-License-Identifier: GPL-2.0-only
"""Files out of Debian packages that are not installed, also packages of another architecture.

A package is unpacked, not installed: installing would run its hooks, and a foreign one would bring its libraries.
apt knows a foreign architecture's packages only after `dpkg --add-architecture`, which changes the system; so for those
it gets lists of its own, in our cache, from the same sources.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from kbuildpy.child import end_with
from kbuildpy.errors import CommandError, KbuildError
from kbuildpy.kernel.cache import cache_directory
from kbuildpy.run import run

_FIRST_SUITE = {"riscv64": "trixie"}
"""Where the first packages for a machine are."""
_EARLIER = frozenset({"buster", "bullseye", "bookworm"})
"""Debian's releases before that."""
_KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
_DAY = 24 * 60 * 60
_FULL = "No space left on device"


def extract(package: str, directory: Path, *, architecture: str = "") -> None:
    """Download `package` and unpack it in `directory`, beside what is there.

    `architecture` is Debian's word for a foreign one. Needs apt, and no privilege; for a native package the system's
    lists (`apt-get update`). Raises `KbuildError` if there is no such package.
    """
    directory.mkdir(parents=True, exist_ok=True)
    scratch = directory / ".download"
    scratch.mkdir()
    try:
        download([package], scratch, architecture=architecture)
        unpack(next(scratch.glob("*.deb")), directory)
    finally:
        shutil.rmtree(scratch)


def download(packages: Sequence[str], directory: Path, *, architecture: str = "") -> None:
    """Download `packages` (`NAME`, `NAME=VERSION`) into `directory`, which is there; apt verifies them.

    `architecture` is Debian's word for a foreign one. Raises `KbuildError` if there is no such package, the network or
    the archive cannot be reached, or the disk is full.
    """
    # apt downloads as a user of its own, who must be able to write here.
    directory.chmod(0o777)
    words = ["apt-get", *apt_options(architecture), "-o", "APT::Get::AllowUnauthenticated=false"]
    try:
        _run([*words, "download", "-q", *packages], directory)
    except CommandError as error:
        raise _failed(f"cannot download {', '.join(packages)}", error, directory) from error


def unpack(archive: Path, directory: Path) -> None:
    """Unpack the package in the file `archive` in `directory`, beside what is there. Raises `KbuildError` for a damaged
    one and for a full disk."""
    try:
        _run(["dpkg-deb", "--extract", archive.absolute(), directory.absolute()], directory)
    except CommandError as error:
        raise _failed(f"cannot unpack {archive.name}", error, directory) from error


def no_room(directory: Path) -> KbuildError:
    """The error for a file system that has no room for what is written to `directory`."""
    return KbuildError(
        f"{directory}: the disk is full",
        hint="free some room, or set KBUILDPY_CACHE to a directory on another disk",
    )


def _run(words: Sequence[str | Path], directory: Path) -> None:
    """Run a program in `directory`, with messages in English; it ends with this process."""
    run(words, cwd=directory, env={**os.environ, "LC_ALL": "C"}, begin=partial(end_with, os.getpid()))


def _failed(what: str, error: CommandError, directory: Path) -> KbuildError:
    said = "\n".join(line for line in error.stderr.splitlines() if not line.startswith("W: "))
    if _FULL in error.stderr:
        return no_room(directory)
    return KbuildError(
        f"{what}: {said.strip() or error.message}",
        hint=error.hint or "Run apt-get update. If the package is gone, a newer one replaced it.",
    )


def apt_options(architecture: str = "") -> list[str]:
    """Options for apt-get and apt-cache to see the packages of a foreign `architecture`; none for "".

    Its package lists are fetched when they are missing, and once a day. Raises `KbuildError` if they cannot be.
    """
    if not architecture:
        return []
    place = cache_directory() / "apt" / architecture
    lists = place / "lists"
    settings = {
        "APT::Architecture": architecture,
        "APT::Architectures::": architecture,
        "APT::Sandbox::User": "root",
        "Dir::State::Lists": str(lists),
        "Dir::Cache": str(place / "cache"),
    }
    lists.mkdir(parents=True, exist_ok=True)
    later = _later_source(architecture)
    if later:
        (place / "sources.list").write_text(later)
        settings |= {"Dir::Etc::SourceList": str(place / "sources.list"), "Dir::Etc::SourceParts": "-"}
    options = [word for name, value in settings.items() for word in ("-o", f"{name}={value}")]
    # Two at a time would each find the other's lock on the lists, and give up.
    with (place / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        _fetch_lists(place / "fetched", options, architecture)
    return options


def _later_source(architecture: str) -> str:
    """The line of a sources.list for a machine that this system's Debian is too old to have packages for; "" for all
    others. The archive is the one that this system takes its own packages from."""
    suite = _FIRST_SUITE.get(architecture)
    if suite is None:
        return ""
    form = "$(CODENAME) $(REPO_URI)"
    wanted = ["--format", form, "Created-By: Packages", "Origin: Debian", "Label: Debian"]
    rows = [line.split() for line in run(["apt-get", "indextargets", *wanted], check=False).text.splitlines()]
    archives = {row[0].partition("-")[0]: row[1] for row in rows if len(row) == 2}
    if not archives or not _EARLIER.issuperset(archives):
        return ""
    signed = f"signed-by={_KEYRING} " if _KEYRING.exists() else ""
    return f"deb [{signed}arch={architecture}] {next(iter(archives.values()))} {suite} main\n"


def _fetch_lists(fetched: Path, options: Sequence[str], architecture: str) -> None:
    """Update the package lists unless that was done today, which the time of the file `fetched` says."""
    if fetched.is_file() and time.time() - fetched.stat().st_mtime < _DAY:
        return
    try:
        run(["apt-get", *options, "update", "-q"], timeout=600)
        fetched.touch()
    except CommandError as error:
        if not fetched.is_file():
            raise KbuildError(
                f"cannot fetch the lists of Debian's packages for {architecture}: {error.stderr.strip()}",
            ) from error
