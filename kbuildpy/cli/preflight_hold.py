# SPDX-License-Identifier: GPL-2.0-only
"""`kbuildpy preflight --hold`: kernels with which this machine would lose modules are held back from apt's upgrades.

Only what was held here is let go again: a package that somebody else holds stays as it is.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Mapping
from pathlib import Path

from kbuildpy.errors import CommandError, KbuildError
from kbuildpy.kernel.fetch import fetch_kernels
from kbuildpy.kernel.installed import installed_images
from kbuildpy.kernel.offered import offered_kernels
from kbuildpy.kernel.waiting import WaitingKernel, candidate_kernels
from kbuildpy.new_files import NewFile, write_new
from kbuildpy.preflight.findings import Preflight
from kbuildpy.printable import printable
from kbuildpy.run import run
from kbuildpy.say import complain

HELD = Path("/var/lib/kbuildpy/held-kernels")
"""The packages that were held here, a line each, with the release that they would have brought."""

Judge = Callable[[str], Preflight]
"""Judges a kernel, named by its release, that was fetched."""


def hold_kernels(judge: Judge, show: Callable[[Preflight], None]) -> int:
    """Hold back, or let go, each package that would bring in another kernel; 1 if one is held back, or could not be
    judged.

    Raises `KbuildError` where packages cannot be held.
    """
    ours, held, installed = _read(), set(_apt_mark("showhold").split()), installed_images()
    candidates = candidate_kernels()
    failed = False
    for kernel in candidates:
        if kernel.release in installed:
            _let_go(kernel.package, ours)
        elif kernel.package in held and kernel.package not in ours:
            print(printable(f"{kernel.package}: held back already, and not by kbuildpy: nothing is changed"))
        else:
            try:
                _fetch(kernel)
                found = judge(kernel.release)
            except KbuildError as error:
                # (as it was: what is held stays so)
                complain(f"kbuildpy: {kernel.package}: {kernel.release} cannot be judged: {error}")
                failed = True
                continue
            show(found)
            _decide(kernel, found, ours, held)
    for package in sorted(ours.keys() - {kernel.package for kernel in candidates}):
        if package not in held:
            _let_go(package, ours)
            continue
        complain(f"kbuildpy: {package}: stays held back: apt does not say which kernel it brings in now")
    return 1 if ours or failed else 0


def _decide(kernel: WaitingKernel, found: Preflight, ours: dict[str, str], held: Collection[str]) -> None:
    if found.is_fine:
        _let_go(kernel.package, ours)
        return
    # (written first: one that is held and not written down would never be let go)
    ours[kernel.package] = kernel.release
    _write(ours)
    if kernel.package not in held:
        _apt_mark("hold", kernel.package)
    complain(f"kbuildpy: {kernel.package} is held back: with {kernel.release} modules would be lost, see above")


def _fetch(kernel: WaitingKernel) -> None:
    offered = [each for each in offered_kernels() if each.release == kernel.release and each.headers and each.image]
    if not offered:
        raise KbuildError(
            f"{kernel.package} would bring in {kernel.release}, whose headers and image apt does not have both",
            hint="apt-get update; are its headers in another archive than its image?",
        )
    for _ in fetch_kernels(offered, images=True, jobs=os.cpu_count() or 1):
        pass


def _let_go(package: str, ours: dict[str, str]) -> None:
    if package in ours:
        _apt_mark("unhold", package)
        release = ours.pop(package)
        _write(ours)
        print(printable(f"{package}: no longer held back (it was because of {release})"))


def _apt_mark(*words: str) -> str:
    try:
        return run(["apt-mark", *words], env={**os.environ, "LC_ALL": "C"}).text
    except CommandError as error:
        said = error.stderr.strip() or error.message
        raise KbuildError(f"apt-mark {' '.join(words)}: {said}", hint="packages are held by root") from error


def _read() -> dict[str, str]:
    """The packages that were held here, with the releases."""
    try:
        lines = HELD.read_text().splitlines()
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise KbuildError(f"{HELD}: {error.strerror}", hint="packages are held by root") from error
    return {package: release for package, _, release in (line.partition(" ") for line in lines) if release}


def _write(ours: Mapping[str, str]) -> None:
    try:
        HELD.parent.mkdir(parents=True, exist_ok=True)
        text = "".join(f"{package} {release}\n" for package, release in ours.items())
        write_new([NewFile(HELD, text.encode(), 0o644)], force=True)
    except OSError as error:
        raise KbuildError(f"{HELD}: {error.strerror}", hint="packages are held by root") from error
