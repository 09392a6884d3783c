# SPDX-License-Identifier: GPL-2.0-only
"""Files out of Debian packages that are not installed, also packages of another architecture.

A package is unpacked, not installed: installing would run its hooks, and a foreign one would bring its libraries.
apt knows a foreign architecture's packages only after `dpkg --add-architecture`, which changes the system; so for those
it gets lists of its own, in our cache, from the same sources.
"""

from __future__ import annotations

import fcntl
import time
from collections.abc import Sequence
from pathlib import Path

from kbuildpy.errors import CommandError, KbuildError
from kbuildpy.kernel.cache import cache_directory
from kbuildpy.run import run

_DAY = 24 * 60 * 60


def extract(package: str, directory: Path, *, architecture: str = "") -> None:
    """Download `package` and unpack it in `directory`, beside what is there.

    `architecture` is Debian's word for a foreign one. Needs apt, and no privilege; for a native package the system's
    lists (`apt-get update`). Raises `KbuildError` if there is no such package.
    """
    directory.mkdir(parents=True, exist_ok=True)
    scratch = directory / ".download"
    scratch.mkdir()
    # apt downloads as a user of its own, who must be able to write here.
    scratch.chmod(0o777)
    options = apt_options(architecture)
    try:
        run(["apt-get", *options, "download", "-q", package], cwd=scratch, timeout=600)
        archive = next(scratch.glob("*.deb"))
        run(["dpkg-deb", "--extract", archive, directory], timeout=600)
    except CommandError as error:
        raise KbuildError(
            f"cannot download {package}: {error.stderr.strip() or error.message}",
            hint="Run apt-get update. If the package is gone, a newer one replaced it.",
        ) from error
    finally:
        for archive in scratch.iterdir():
            archive.unlink()
        scratch.rmdir()


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
    options = [word for name, value in settings.items() for word in ("-o", f"{name}={value}")]
    lists.mkdir(parents=True, exist_ok=True)
    # Two at a time would each find the other's lock on the lists, and give up.
    with (place / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        _fetch_lists(place / "fetched", options, architecture)
    return options


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
