"""What both questions to GNU make share: the environment they are asked in, and how an error is told.

GNU make turns every environment variable into a makefile variable, so an answer depends on the whole
environment; only names that certainly say nothing to a build are left out of a cache's key.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterable, Mapping
from glob import glob
from pathlib import Path

from kbuildpy.errors import KbuildError, UsageError

# Where a terminal, a session or a shell is, says nothing about a build. (PWD: set by us for every program.)
_SESSION_VARIABLES = re.compile(
    r"^(_|PWD|OLDPWD|SHLVL|TERM|TERM_.*|COLORTERM|COLUMNS|LINES|DISPLAY|WAYLAND_DISPLAY|WINDOWID|XAUTHORITY"
    r"|SSH_.*|TMUX.*|STY|LS_COLORS|HISTFILE|HISTSIZE|PS1|PS2|PROMPT_COMMAND|LESS.*|PAGER|EDITOR|VISUAL|MAIL"
    r"|DBUS_SESSION_BUS_ADDRESS|XDG_SESSION.*|XDG_RUNTIME_DIR|XDG_SEAT|XDG_VTNR|INVOCATION_ID|JOURNAL_STREAM"
    r"|KBUILD_SIGN_PIN|PYTEST_CURRENT_TEST|VIRTUAL_ENV_PROMPT|MAKELEVEL|MFLAGS|MAKEFLAGS|MAKEOVERRIDES|GNUMAKEFLAGS)$"
)

# What Kbuild never expects in its environment: a surrounding make's own state, and the loop guard of the
# top Makefile (a build started from inside a kernel build would take itself for its own sub-make). And a passphrase,
# which no answer depends on.
_NEVER_PASSED = (
    *("MAKELEVEL", "MFLAGS", "MAKEFLAGS", "MAKEOVERRIDES", "GNUMAKEFLAGS", "sub_make_done"),
    "KBUILD_SIGN_PIN",
)

Stamp = tuple[int, int]


def base_environment(environ: Mapping[str, str], directory: str) -> dict[str, str]:
    """`environ` without a surrounding make's state, with PWD naming `directory`."""
    env = {name: value for name, value in environ.items() if name not in _NEVER_PASSED}
    env["PWD"] = directory
    env.pop("OLDPWD", None)
    return env


def environment_key(environ: Mapping[str, str]) -> list[tuple[str, str]]:
    """What of `environ` an answer may depend on, sorted."""
    return sorted((name, value) for name, value in environ.items() if not _SESSION_VARIABLES.match(name))


def digest(*parts: object) -> str:
    """A short name for anything with a stable `repr`."""
    return hashlib.sha256(repr(parts).encode(errors="surrogateescape")).hexdigest()[:32]


def stamp(path: str | Path) -> Stamp:
    """(mtime in ns, size) of a file, (0, 0) when there is none."""
    try:
        status = os.stat(path)  # noqa: PTH116 - a thousand calls a build; Path costs more than the call
    except OSError:
        return (0, 0)
    return (status.st_mtime_ns, status.st_size)


def stamps(paths: Iterable[str | Path]) -> dict[str, Stamp]:
    """`stamp` of each path."""
    return {str(path): stamp(path) for path in paths}


# The top Makefile refuses the first ones itself (the checks of KBUILD_EXTMOD); the others reach the shell, make's
# own syntax or the compiler's options (`-Wp,`) unquoted.
_UNBUILDABLE = {" ": "a space", "\t": "a tab", "\n": "a newline"}
_UNBUILDABLE |= {character: f"'{character}'" for character in ":%,$#()<>;&|`'\"\\"}


_PATTERN = frozenset("*?[")


def check_directory_name(directory: Path) -> None:
    """Refuse a module directory whose path Kbuild cannot build in (`UsageError`)."""
    if not directory.is_dir():
        from kbuildpy.similar import similar_file

        raise UsageError(
            f"{directory}: no such directory" if not directory.exists() else f"{directory}: not a directory",
            hint=similar_file(directory) or "name the directory that holds the module's Kbuild file or Makefile",
        )
    for character, word in _UNBUILDABLE.items():
        if character in str(directory):
            raise UsageError(
                f"{directory}: the path contains {word}, and Kbuild cannot build there",
                hint="move the module to a path without it: make, the shell or the compiler would take it for syntax",
            )
    check_encoding(str(directory))


def check_pattern(directory: Path) -> None:
    """Refuse a module directory whose path is a pattern that means something else than itself (`UsageError`).

    Up to 6.12 its name is a target of the top Makefile (build-dir), and make expands patterns there: it would build in
    whatever matches.
    """
    if not _PATTERN.isdisjoint(str(directory)):
        found = sorted(glob(str(directory)))  # noqa: PTH207 - an absolute pattern
        if found != [str(directory)]:
            others = ", ".join(name for name in found if name != str(directory)) or "nothing"
            raise UsageError(
                f"{directory}: to make the path is a pattern, and it matches {others}",
                hint="move the module to a path without '*', '?' and '['",
            )


def check_output_name(out: Path) -> None:
    """Refuse an output directory that Kbuild's commands cannot write to, or that is no directory (`UsageError`)."""
    found = next((place for place in (out, *out.parents) if place.exists()), out)
    if not found.is_dir():
        raise UsageError(f"{found}: not a directory, so nothing can be built in {out}", hint="name another directory")
    for character, word in _UNBUILDABLE.items():
        if character in str(out) and character not in ":%":
            raise UsageError(
                f"{out}: the path contains {word}, and Kbuild's commands cannot write there",
                hint="name an output directory without it: the shell or the compiler would take it for syntax",
            )
    check_encoding(str(out))


def check_encoding(name: str) -> None:
    """Refuse a name that is not UTF-8: SCons cannot keep it in its database (`UsageError`)."""
    try:
        name.encode()
    except UnicodeEncodeError as error:
        shown = name.encode(errors="surrogateescape").decode(errors="replace")
        raise UsageError(f"{shown}: the name is not UTF-8", hint="rename it; SCons keeps such names only") from error


def check_kbuild_file(directory: Path) -> None:
    """Refuse a directory without a Kbuild file (`UsageError`)."""
    if not any((directory / name).is_file() for name in ("Kbuild", "Makefile")):
        raise UsageError(
            f"{directory}: no Kbuild file here (neither Kbuild nor Makefile)",
            hint="name the directory whose Kbuild file sets obj-m",
        )


def make_failed(what: str, stderr: str, *, hint: str = "") -> KbuildError:
    """The error for a make that failed: its own message (with file and line) is the news."""
    lines = [line for line in stderr.splitlines() if line.strip()]
    return KbuildError(f"{what}:\n" + "\n".join(lines) if lines else what, hint=hint)
