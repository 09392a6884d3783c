# SPDX-License-Identifier: GPL-2.0-only
"""Makes a release: in a clone, and in the checkout itself only when all of it is done.

So a release that fails on the way, or is interrupted, leaves the checkout as it was: no commit, no tag, no file.
"""

from __future__ import annotations

import hashlib
import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path

from kbuildpy.errors import CommandError, KbuildError, UsageError
from release.artifacts import build
from release.changelog import unreleased, with_release
from release.checks import check
from release.git import git, git_succeeds, require_clean
from release.signing import ReleaseKey, release_key
from release.version import PLACE, next_version, parse_version, read_version, write_version


@dataclass(frozen=True)
class Release:
    """What was made."""

    version: str
    files: tuple[Path, ...]
    checked: tuple[str, ...]
    begins: str
    """The version that is worked on from then on."""


def cut_release(checkout: Path, version: str, *, branch: str, tests: Sequence[str], dry_run: bool) -> Release:
    """Make the release `version` of the branch `branch`, which is checked out: two commits, a signed tag, and the files
    in `dist/VERSION`. With `dry_run` all of it is made, and none of it kept.

    `tests` is a command that must end with status 0 first; empty for none. Raises `UsageError` for a version that
    cannot follow, and `KbuildError` for whatever else is in the way; then nothing has changed.
    """
    old = _require_ready(checkout, version, branch)
    notes = unreleased((checkout / "CHANGELOG.md").read_text())
    key = release_key(checkout)
    if tests and subprocess.run(tests, cwd=checkout, check=False).returncode:
        raise KbuildError(f"the tests failed: {shlex.join(tests)}")
    require_clean(checkout)
    output = checkout / "dist"
    output.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{version}.", dir=output) as place:
        clone, files = Path(place, "clone"), Path(place, "files")
        _clone(checkout, clone, branch, old)
        tested = f"Tested by: {shlex.join(tests)}" if tests else "No tests were run for it."
        _commit_release(clone, version, notes, tested)
        made = build(clone, f"v{version}", files, debian=True)
        done = check(made, clone, f"v{version}")
        made += _write_sums(files, made, notes, key)
        begins = next_version(version)
        write_version(clone, begins)
        git(clone, "commit", "-q", "-m", f"release: begin {begins}", PLACE)
        if not dry_run:
            _publish(checkout, clone, branch, old, version, files)
            made = [output / version / path.name for path in made]
        return Release(version, tuple(made), tuple(done), begins)


def _require_ready(checkout: Path, version: str, branch: str) -> str:
    """Check that a release can be made; the commit that it is made of."""
    wanted = parse_version(version)
    require_clean(checkout)
    current = git(checkout, "branch", "--show-current")
    if current != branch:
        raise UsageError(f"releases are made of {branch}, and {current or 'no branch'} is checked out")
    now = read_version(checkout)
    if parse_version(now.removesuffix(".dev0")) > wanted:
        raise UsageError(f"{version} is older than {now}, which {PLACE} has")
    if git_succeeds(checkout, "rev-parse", "-q", "--verify", f"refs/tags/v{version}"):
        raise UsageError(f"{version} is released already: there is a tag v{version}")
    for tag in git(checkout, "tag", "--list", "v*").split():
        if parse_version(tag.removeprefix("v")) > wanted:
            raise UsageError(f"{version} is older than the released {tag}")
    if (checkout / "dist" / version).exists():
        raise KbuildError(f"dist/{version} is there already", hint="move it away")
    return git(checkout, "rev-parse", "HEAD")


def _clone(checkout: Path, clone: Path, branch: str, commit: str) -> None:
    """Clone the checkout, with its settings for who commits and signs."""
    git(checkout, "clone", "-q", "--shared", "--no-tags", "--branch", branch, checkout, clone)
    if git(clone, "rev-parse", "HEAD") != commit:
        raise KbuildError(f"{branch} changed meanwhile", hint="begin again")
    settings = git(checkout, "config", "--local", "--list", "-z").split("\0")
    for setting in settings:
        name, _, value = setting.partition("\n")
        if name.startswith(("user.", "gpg.", "commit.", "tag.")):
            git(clone, "config", "--add", name, value)


def _commit_release(clone: Path, version: str, notes: str, tested: str) -> None:
    """Commit the version and the changelog, and tag the commit."""
    changelog = clone / "CHANGELOG.md"
    changelog.write_text(with_release(changelog.read_text(), version, datetime.now(timezone.utc)))
    write_version(clone, version)
    git(clone, "commit", "-q", "-m", f"release: {version}", PLACE, "CHANGELOG.md")
    message = f"kbuildpy {version}\n\n{tested}\n\n{notes}\n"
    # (not what begins with # is left out of it: headings do)
    git(clone, "tag", "--sign", "--cleanup=whitespace", "-F", "-", f"v{version}", input=message.encode())
    if "-----BEGIN" not in git(clone, "cat-file", "tag", f"v{version}"):
        raise KbuildError(f"Git made the tag v{version} without a signature")


def _write_sums(files: Path, made: Sequence[Path], notes: str, key: ReleaseKey) -> list[Path]:
    """Write the announcement, and the digests of all files with their signature; what was written."""
    announcement, sums = files / "RELEASE_NOTES.md", files / "SHA256SUMS"
    announcement.write_text(f"{notes}\n")
    lines = [f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n" for path in (*made, announcement)]
    sums.write_text("".join(lines))
    return [announcement, sums, key.sign(sums)]


def _publish(checkout: Path, clone: Path, branch: str, old: str, version: str, files: Path) -> None:
    """Bring the commits, the tag and the files into the checkout: all, or nothing."""
    new, tag = git(clone, "rev-parse", "HEAD"), git(clone, "rev-parse", f"refs/tags/v{version}")
    require_clean(checkout)
    # Objects alone; nothing leads to them yet.
    git(checkout, "fetch", "-q", "--no-tags", "--no-write-fetch-head", clone, branch, f"refs/tags/v{version}")
    kept = checkout / "dist" / version
    files.rename(kept)
    transaction = f"start\nupdate refs/heads/{branch} {new} {old}\ncreate refs/tags/v{version} {tag}\nprepare\ncommit\n"
    try:
        git(checkout, "update-ref", "-m", f"release: {version}", "--stdin", input=transaction.encode())
    except CommandError as error:
        shutil.rmtree(kept)
        raise KbuildError(f"{branch} could not be moved: {error.message}", hint="begin again") from error
    # The tree follows; it was clean.
    git(checkout, "read-tree", "-m", "-u", old, new)
