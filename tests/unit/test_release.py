# SPDX-License-Identifier: GPL-2.0-only
"""`./run release`, in a small repository with a key of its own: all of a release is made, or none of it."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Sequence
from datetime import datetime, timezone
from pathlib import Path

import pytest

from kbuildpy.errors import CommandError, KbuildError, UsageError
from kbuildpy.run import run
from release import cut_release as cutting
from release import version as versions
from release.changelog import debian_changelog, unreleased, with_release
from release.cut_release import Release, cut_release
from release.git import git
from release.signing import NAMESPACE
from release.try_versions import found_pythons
from release.version import for_debian, next_version, parse_version, read_version
from tests.support.documents import ROOT

CHANGELOG = """# Changelog

## [Unreleased]

### Added

- **A thing.** It is new.

## [0.1.0] - 2026-01-02

- The first.
"""


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository on its branch main, whose commits and tags a key of OpenSSH signs."""
    for program in ("git", "ssh-keygen"):
        if not shutil.which(program):
            pytest.skip(f"{program} is not installed")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", "/dev/null")
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    key = tmp_path / "key"
    run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "a test", "-f", key])
    place = tmp_path / "checkout"
    (place / "kbuildpy").mkdir(parents=True)
    (place / "kbuildpy/__init__.py").write_text('"""A program."""\n\n__version__ = "0.2.0.dev0"\n')
    (place / "CHANGELOG.md").write_text(CHANGELOG)
    (place / ".gitignore").write_text("dist/\n")
    run(["git", "init", "-q", "-b", "main", place])
    settings = {
        "user.name": "A test",
        "user.email": "test@example.org",
        "user.signingkey": str(key),
        "gpg.format": "ssh",
    }
    for name, value in settings.items():
        git(place, "config", name, value)
    git(place, "add", ".")
    git(place, "commit", "-q", "-m", "all")
    monkeypatch.setattr(cutting, "build", build_little)
    monkeypatch.setattr(cutting, "check", lambda files, *_: [f"{len(files)} files are right"])
    return place


def build_little(tree: Path, commit: str, into: Path, *, debian: bool) -> list[Path]:
    """In place of packages: one file that has the commit's version in it."""
    assert debian
    into.mkdir(parents=True)
    made = into / "kbuildpy.whl"
    made.write_text(git(tree, "show", f"{commit}:kbuildpy/__init__.py"))
    return [made]


def release(checkout: Path, version: str = "0.2.0", *, tests: Sequence[str] = (), dry_run: bool = False) -> Release:
    return cut_release(checkout, version, branch="main", tests=tests, dry_run=dry_run)


def state(checkout: Path) -> tuple[str, str, list[str]]:
    """What a release may change: references with their commits, changes in the tree, files in dist/."""
    files = sorted(path.relative_to(checkout).as_posix() for path in (checkout / "dist").rglob("*"))
    return git(checkout, "show-ref"), git(checkout, "status", "--porcelain"), files


def test_a_release_is_two_commits_a_signed_tag_and_signed_digests(checkout: Path, tmp_path: Path) -> None:
    made = release(checkout, tests=["true"])
    assert git(checkout, "log", "--format=%s").splitlines() == ["release: begin 0.3.0.dev0", "release: 0.2.0", "all"]
    assert git(checkout, "status", "--porcelain") == ""
    assert git(checkout, "rev-parse", "v0.2.0^{commit}") == git(checkout, "rev-parse", "HEAD~1")
    assert (made.begins, read_version(checkout)) == ("0.3.0.dev0", "0.3.0.dev0")

    today = f"{datetime.now(timezone.utc):%Y-%m-%d}"
    assert f"## [Unreleased]\n\n## [0.2.0] - {today}\n\n### Added" in (checkout / "CHANGELOG.md").read_text()
    message = git(checkout, "cat-file", "tag", "v0.2.0")
    assert "\n\nTested by: true\n\n### Added\n\n- **A thing.** It is new.\n" in message

    # OpenSSH says who signed: once through Git, once for the digests.
    allowed = tmp_path / "allowed"
    allowed.write_text(f"test@example.org {(tmp_path / 'key.pub').read_text()}")
    git(checkout, "-c", f"gpg.ssh.allowedSignersFile={allowed}", "tag", "-v", "v0.2.0")
    files = checkout / "dist/0.2.0"
    who = ("-f", allowed, "-I", "test@example.org", "-n", NAMESPACE)
    words: list[str | Path] = ["-Y", "verify", *who, "-s", files / "SHA256SUMS.sig"]
    sums = (files / "SHA256SUMS").read_bytes()
    assert run(["ssh-keygen", *words], input=sums).returncode == 0
    with pytest.raises(CommandError):
        run(["ssh-keygen", *words], input=sums + b"\n")
    run(["sha256sum", "--check", "--strict", "SHA256SUMS"], cwd=files)
    assert {line.split()[1] for line in sums.decode().splitlines()} == {"kbuildpy.whl", "RELEASE_NOTES.md"}
    assert '__version__ = "0.2.0"' in (files / "kbuildpy.whl").read_text()


def test_the_next_release_follows(checkout: Path) -> None:
    release(checkout)
    with pytest.raises(KbuildError, match="no entry below"):
        release(checkout, "0.3.0")
    text = (checkout / "CHANGELOG.md").read_text()
    (checkout / "CHANGELOG.md").write_text(text.replace("## [Unreleased]\n", "## [Unreleased]\n\n- More.\n"))
    git(checkout, "commit", "-q", "-a", "-m", "more")
    release(checkout, "1.0.0")
    assert git(checkout, "tag").split() == ["v0.2.0", "v1.0.0"]
    assert "- More." in git(checkout, "cat-file", "tag", "v1.0.0")
    assert "A thing" not in git(checkout, "cat-file", "tag", "v1.0.0")


def test_a_dry_run_makes_all_and_keeps_nothing(checkout: Path) -> None:
    (checkout / "dist").mkdir()
    before = state(checkout)
    made = release(checkout, dry_run=True)
    assert {path.name for path in made.files} == {"kbuildpy.whl", "RELEASE_NOTES.md", "SHA256SUMS", "SHA256SUMS.sig"}
    assert state(checkout) == before


@pytest.mark.parametrize("step", ["build", "check", "_write_sums", "next_version", "_publish"])
@pytest.mark.parametrize("error", [KbuildError, KeyboardInterrupt, SystemExit])
def test_a_failure_on_the_way_leaves_nothing(
    checkout: Path, monkeypatch: pytest.MonkeyPatch, step: str, error: type[BaseException]
) -> None:
    (checkout / "dist").mkdir()
    before = state(checkout)

    def fail(*_: object, **__: object) -> None:
        raise error("on purpose")

    with monkeypatch.context() as changed:
        changed.setattr(cutting, step, fail)
        with pytest.raises(error):
            release(checkout)
    assert state(checkout) == before
    release(checkout)


def test_a_branch_that_moved_meanwhile_leaves_nothing(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (checkout / "dist").mkdir()

    def commit_meanwhile(tree: Path, version: str) -> None:
        real(tree, version)
        if version.endswith("dev0"):
            git(checkout, "commit", "-q", "--allow-empty", "-m", "meanwhile")

    real = versions.write_version
    monkeypatch.setattr(cutting, "write_version", commit_meanwhile)
    with pytest.raises(KbuildError, match="main could not be moved"):
        release(checkout)
    _, changes, files = state(checkout)
    assert (git(checkout, "tag"), changes, files) == ("", "", [])
    assert git(checkout, "log", "-1", "--format=%s") == "meanwhile"


def test_a_tag_without_a_signature_is_no_release(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = git

    def unsigned(place: Path, *words: str | Path, input: bytes | None = None) -> str:
        return real(place, *("--no-sign" if word == "--sign" else word for word in words), input=input)

    monkeypatch.setattr(cutting, "git", unsigned)
    with pytest.raises((KbuildError, CommandError)):
        release(checkout)
    assert git(checkout, "tag") == ""


@pytest.mark.parametrize(
    ("change", "version", "words"),
    [
        ("echo more >>CHANGELOG.md", "0.2.0", "the checkout has changes"),
        ("echo new >new", "0.2.0", "the checkout has changes"),
        ("git checkout -q -b other", "0.2.0", "releases are made of main, and other is checked out"),
        ("git tag v0.2.0", "0.2.0", "0.2.0 is released already"),
        ("git tag v0.9.0", "0.2.0", "0.2.0 is older than the released v0.9.0"),
        ("true", "0.1.9", "0.1.9 is older than 0.2.0.dev0"),
        ("true", "0.2", "0.2: not a version to release"),
        ("true", "0.2.0.dev0", "not a version to release"),
        ("git config user.signingkey nowhere", "0.2.0", "Git's signing key does not sign"),
        ("git config --unset user.signingkey", "0.2.0", "Git has no signing key"),
        ("mkdir -p dist/0.2.0", "0.2.0", "dist/0.2.0 is there already"),
    ],
)
def test_refuses_what_is_not_ready(checkout: Path, change: str, version: str, words: str) -> None:
    run(["sh", "-c", change], cwd=checkout)
    (checkout / "dist").mkdir(exist_ok=True)
    before = state(checkout)
    with pytest.raises(KbuildError, match=words):
        release(checkout, version)
    assert state(checkout) == before


def test_tests_that_fail_stop_a_release(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cutting, "build", None)  # (nothing is built then)
    with pytest.raises(KbuildError, match="the tests failed: false"):
        release(checkout, tests=["false"])
    # (and so do tests that leave something in the tree)
    with pytest.raises(KbuildError, match="the checkout has changes"):
        release(checkout, tests=["touch", "left"])
    assert git(checkout, "tag") == ""


def test_gpg_signs_where_git_is_set_up_for_it(checkout: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if not shutil.which("gpg"):
        pytest.skip("gpg is not installed")
    home = Path("/tmp", f"kbuildpy-gpg-{hashlib.sha256(str(tmp_path).encode()).hexdigest()[:8]}")
    home.mkdir(mode=0o700)  # (the path of gpg's socket has a limit)
    try:
        monkeypatch.setenv("GNUPGHOME", str(home))
        run(
            [
                "gpg",
                "--batch",
                "--passphrase",
                "",
                "--quick-generate-key",
                "A test <test@example.org>",
                "ed25519",
                "sign",
            ]
        )
        for words in (("gpg.format", "openpgp"), ("user.signingkey", "test@example.org")):
            git(checkout, "config", *words)
        release(checkout)
        git(checkout, "tag", "-v", "v0.2.0")
        files = checkout / "dist/0.2.0"
        run(["gpg", "--verify", files / "SHA256SUMS.asc", files / "SHA256SUMS"])
    finally:
        run(["gpgconf", "--kill", "all"], check=False)
        shutil.rmtree(home)


# --- Versions and changelogs


def test_the_changelog_of_this_project_can_be_released() -> None:
    text = (ROOT / "CHANGELOG.md").read_text()
    section = unreleased(text)
    released = with_release(text, "9.9.9", datetime(2027, 3, 4, tzinfo=timezone.utc))
    assert f"## [Unreleased]\n\n## [9.9.9] - 2027-03-04\n\n{section}\n" in released


@pytest.mark.parametrize("text", ["", "# Changelog\n\n## [0.1.0] - 2026-01-02\n\n- a\n\n## [Unreleased]\n\n- b\n"])
def test_a_changelog_must_begin_with_what_is_unreleased(text: str) -> None:
    with pytest.raises(KbuildError, match="no entry below"):
        unreleased(text)


def test_versions_follow_each_other() -> None:
    assert (next_version("0.1.9"), next_version("1.2.3")) == ("0.2.0.dev0", "1.3.0.dev0")
    assert parse_version("0.10.0") > parse_version("0.9.9")
    for wrong in ("1.2", "01.2.3", "1.2.3rc1", "v1.2.3", "1.2.3\n"):
        with pytest.raises(UsageError):
            parse_version(wrong)


def test_dpkg_orders_our_versions() -> None:
    if not shutil.which("dpkg"):
        pytest.skip("dpkg is Debian's")
    assert for_debian("0.2.0.dev0") == "0.2.0~dev0"
    for older, newer in (("0.2.0~dev0-1", "0.2.0-1"), ("0.1.0-1", "0.2.0~dev0-1")):
        run(["dpkg", "--compare-versions", older, "lt", newer])


def test_dpkg_reads_the_changelog_of_the_debian_package(tmp_path: Path) -> None:
    if not shutil.which("dpkg-parsechangelog"):
        pytest.skip("dpkg-parsechangelog is Debian's (dpkg-dev)")
    place = tmp_path / "changelog"
    place.write_text(debian_changelog("0.2.0", "Somebody <somebody@example.org>", 1_800_000_000))
    done = run(["dpkg-parsechangelog", "-l", place, "--format", "rfc822"])
    assert "warning" not in done.error_text
    fields = dict(line.split(": ", 1) for line in done.text.splitlines() if ": " in line)
    assert (fields["Source"], fields["Version"], fields["Timestamp"]) == ("kbuildpy", "0.2.0-1", "1800000000")


def test_a_python_that_only_has_a_command_is_not_tried(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for version, status in (("3.10", 127), ("3.12", 0)):
        program = tmp_path / f"python{version}"
        program.write_text(f"#!/bin/sh\nexit {status}\n")
        program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}")
    assert found_pythons() == ["python3.12"]
    (tmp_path / "python3.12").unlink()
    with pytest.raises(UsageError, match=r"none of python3\.10"):
        found_pythons()
