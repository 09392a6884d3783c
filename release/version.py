# SPDX-License-Identifier: GPL-2.0-only
"""The version, and the one place where it stands."""

from __future__ import annotations

import re
from pathlib import Path

from kbuildpy.errors import KbuildError, UsageError

PLACE = "kbuildpy/__init__.py"
_LINE = re.compile(r'^__version__ = "(\d+\.\d+\.\d+(?:\.dev0)?)"$', re.MULTILINE)


def read_version(tree: Path) -> str:
    """The version of the checkout `tree`. Raises `KbuildError` if there is not exactly one."""
    found = _LINE.findall((tree / PLACE).read_text())
    if len(found) != 1:
        raise KbuildError(f"{tree / PLACE}: {len(found)} lines with a version, where one was expected")
    return str(found[0])


def write_version(tree: Path, version: str) -> None:
    """Make `version` the checkout's."""
    place = tree / PLACE
    place.write_text(_LINE.sub(f'__version__ = "{version}"', place.read_text()))


def parse_version(text: str) -> tuple[int, int, int]:
    """The numbers of a released version. Raises `UsageError` for anything else than X.Y.Z."""
    if not re.fullmatch(r"(0|[1-9]\d*)(\.(0|[1-9]\d*)){2}", text):
        raise UsageError(f"{text}: not a version to release", hint="versions are X.Y.Z (Semantic Versioning)")
    major, minor, patch = map(int, text.split("."))
    return major, minor, patch


def next_version(text: str) -> str:
    """What is worked on after the release `text`."""
    major, minor, _ = parse_version(text)
    return f"{major}.{minor + 1}.0.dev0"


def for_debian(version: str) -> str:
    """`version` as Debian orders versions: what is in development comes before its release."""
    return version.replace(".dev", "~dev")
