# SPDX-License-Identifier: GPL-2.0-only
"""CHANGELOG.md: what a release says of itself."""

from __future__ import annotations

import re
from datetime import datetime, timezone
from email.utils import format_datetime

from kbuildpy.errors import KbuildError

_UNRELEASED = "## [Unreleased]\n"


def unreleased(text: str) -> str:
    """The section of what is not released yet. Raises `KbuildError` if there is none, or nothing in it."""
    before, heading, rest = text.partition(_UNRELEASED)
    section = re.split(r"^## ", rest, maxsplit=1, flags=re.MULTILINE)[0].strip()
    if not heading or "## [" in before or not re.search(r"^- ", section, re.MULTILINE):
        raise KbuildError(
            "CHANGELOG.md has no entry below ## [Unreleased], as its first section",
            hint="write what is new for a user of kbuildpy: a release is announced by this section",
        )
    return section


def with_release(text: str, version: str, date: datetime) -> str:
    """The changelog in which what was unreleased is the section of `version`, below an empty section."""
    return text.replace(_UNRELEASED, f"{_UNRELEASED}\n## [{version}] - {date:%Y-%m-%d}\n", 1)


def debian_changelog(version: str, maintainer: str, time: int) -> str:
    """The changelog of the Debian package: one entry, which leads to ours. `time` is in seconds since 1970."""
    date = format_datetime(datetime.fromtimestamp(time, timezone.utc))
    entry = "  * The package of this version, as the project makes it."
    return f"kbuildpy ({version}-1) unstable; urgency=medium\n\n{entry}\n\n -- {maintainer}  {date}\n"
