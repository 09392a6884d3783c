# SPDX-License-Identifier: GPL-2.0-only
"""Kernels that the next upgrade of this system would bring: those of packages such as `linux-image-amd64`, which only
bring in the newest kernel of a flavour."""

from __future__ import annotations

import os
import re
import shutil
from typing import NamedTuple

from kbuildpy.errors import KbuildError
from kbuildpy.kernel.release import is_release
from kbuildpy.run import run

_IMAGE = "linux-image-"
_NO_PACKAGE = 1
"""The status of dpkg-query where no package matches."""
_NEEDED = re.compile(r"^Depends:.*?\blinux-image-([^\s,|(]+)", re.MULTILINE)


class WaitingKernel(NamedTuple):
    """A kernel that the candidate of an installed package brings in."""

    package: str
    """The package that brings it in."""
    release: str


def candidate_kernels() -> list[WaitingKernel]:
    """The kernels that apt would have on this system now, whether they are installed already or not.

    Raises `KbuildError` where there is no apt, and if it fails: no answer does not mean that there is no kernel.
    """
    for program in ("dpkg-query", "apt-cache"):
        if shutil.which(program) is None:
            raise KbuildError(
                f"no program {program}: packages of kernels are held back on Debian and its like only",
                hint="kbuildpy preflight --to RELEASE --build judges a kernel that was installed or fetched",
            )
    rows = _ask(["dpkg-query", "-W", "-f", "${db:Status-Status} ${Package}\n", f"{_IMAGE}*"], fine=(0, _NO_PACKAGE))
    names = [name for status, _, name in (line.partition(" ") for line in rows.splitlines()) if status == "installed"]
    if not names:
        return []
    found = []
    for stanza in _ask(["apt-cache", "--no-all-versions", "show", *names]).split("\n\n"):
        package, needed = re.search(r"^Package: (\S+)", stanza, re.MULTILINE), _NEEDED.search(stanza)
        release = needed[1].removesuffix("-unsigned") if needed else ""
        if package and is_release(release):
            found.append(WaitingKernel(package[1], release))
    return found


def _ask(words: list[str], *, fine: tuple[int, ...] = (0,)) -> str:
    done = run(words, env={**os.environ, "LC_ALL": "C"}, check=False)
    if done.returncode not in fine:
        said = done.error_text.strip() or f"status {done.returncode}"
        raise KbuildError(f"{words[0]} fails: {said}", hint="fetch apt's lists: apt-get update (as root)")
    return done.text
