# SPDX-License-Identifier: GPL-2.0-only
"""Kernels that the next upgrade of this system would bring: those of packages such as `linux-image-amd64`, which only
bring in the newest kernel of a flavour."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Collection
from typing import NamedTuple

from kbuildpy.errors import KbuildError
from kbuildpy.kernel.release import is_release
from kbuildpy.run import run

_IMAGE = "linux-image-"
_NEEDED = re.compile(r"^Depends:.*?\blinux-image-(\S+)", re.MULTILINE)


class WaitingKernel(NamedTuple):
    """A kernel that is not installed, and that the candidate of an installed package brings in."""

    package: str
    """The package that brings it in."""
    release: str


def waiting_kernels(installed: Collection[str]) -> list[WaitingKernel]:
    """The kernels that apt would bring in now; `installed` are the releases that are here.

    Raises `KbuildError` where there is no apt, and if it fails.
    """
    for program in ("dpkg-query", "apt-cache"):
        if shutil.which(program) is None:
            raise KbuildError(
                f"no program {program}: packages of kernels are held back on Debian and its like only",
                hint="kbuildpy preflight --to RELEASE --build judges a kernel that was installed or fetched",
            )
    env = {**os.environ, "LC_ALL": "C"}
    words = ["dpkg-query", "-W", "-f", "${db:Status-Status} ${Package}\n", f"{_IMAGE}*"]
    rows = [line.partition(" ") for line in run(words, env=env, check=False).text.splitlines()]
    names = [name for status, _, name in rows if status == "installed"]
    if not names:
        return []
    shown = run(["apt-cache", "--no-all-versions", "show", *names], env=env, check=False).text
    found = []
    for stanza in shown.split("\n\n"):
        package, needed = re.search(r"^Package: (\S+)", stanza, re.MULTILINE), _NEEDED.search(stanza)
        release = needed[1].removesuffix("-unsigned") if needed else ""
        if package and is_release(release) and release not in installed:
            found.append(WaitingKernel(package[1], release))
    return found
