# SPDX-License-Identifier: GPL-2.0-only
"""What is asked of Git."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from kbuildpy.errors import CommandError, KbuildError
from kbuildpy.run import run


def git(checkout: Path, *words: str | Path, input: bytes | None = None, env: Mapping[str, str] | None = None) -> str:
    """The output of a Git command in `checkout`, without the last end of line. Raises `CommandError`."""
    return run(["git", "-C", checkout, *words], input=input, env=env).text.rstrip("\n")


def git_succeeds(checkout: Path, *words: str) -> bool:
    """Whether a Git command ends with status 0."""
    return run(["git", "-C", checkout, *words], check=False).returncode == 0


def commit_time(checkout: Path, commit: str = "HEAD") -> int:
    """When a commit was made, in seconds since 1970."""
    return int(git(checkout, "log", "-1", "--format=%ct", commit))


def require_clean(checkout: Path) -> None:
    """Raises `KbuildError` if the working tree has changes, or files that Git does not know."""
    found = git(checkout, "status", "--porcelain", "--untracked-files=normal")
    if found:
        raise KbuildError(f"the checkout has changes:\n{found}", hint="commit them, or put them away (git stash -u)")


def export(checkout: Path, commit: str, into: Path) -> None:
    """Write the files of a commit into the new directory `into`. Raises `KbuildError` for no such commit."""
    try:
        archive = run(["git", "-C", checkout, "archive", "--format=tar", commit]).stdout
    except CommandError as error:
        raise KbuildError(f"{checkout}: cannot export {commit}", hint=error.stderr.strip()) from error
    into.mkdir(parents=True)
    run(["tar", "-x", "-C", into], input=archive)
