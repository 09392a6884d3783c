# SPDX-License-Identifier: GPL-2.0-only
"""The author of a module, from git's configuration."""

from __future__ import annotations

import getpass
import pwd
from pathlib import Path

from kbuildpy.errors import CommandError, UsageError
from kbuildpy.run import run


def default_author(directory: Path) -> str:
    """`Name <address>` by git's configuration as it is in `directory`; without one, by the user's account."""
    name, address = _git("user.name", directory), _git("user.email", directory)
    if not name:
        user = getpass.getuser()
        try:
            name = pwd.getpwnam(user).pw_gecos.split(",")[0] or user
        except KeyError:
            name = user
    return f"{name} <{address}>" if address else name


def check_line(what: str, text: str) -> str:
    """`text` without space around it, if it is one line of printable characters that UTF-8 can hold. Raises
    `UsageError`; `what` names the option."""
    stripped = text.strip()
    if not stripped:
        raise UsageError(f"{what}: empty")
    odd = next((character for character in stripped if not character.isprintable()), "")
    if odd:
        raise UsageError(f"{what} {text!r}: {odd!r} is not printable", hint="it is one line of text in UTF-8")
    return stripped


def _git(key: str, directory: Path) -> str:
    try:
        return run(["git", "config", "--get", key], cwd=directory, check=False).text.strip()
    except CommandError:
        # (git is not installed)
        return ""
