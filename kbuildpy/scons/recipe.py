# SPDX-License-Identifier: GPL-2.0-only
"""`Recipe`: what decides the bytes that an action makes, in words that mean the same on another machine.

The signature of an action is for this machine: it has times of files, which are quick to compare. The key of an entry
in a shared cache is made of contents.
"""

from __future__ import annotations

import functools
import hashlib
import json
import os
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from kbuildpy.kbuild.portable_root import PLACE, command_without_root, with_root, without_root
from kbuildpy.scons.named_files import command_words
from kbuildpy.shared.contents import content_digest

_FORMAT = "kbuildpy shared object 2"
# Options that let the compiler read or write files that nobody tells us of, or ask the machine what it is.
_UNSHARED = (
    r"(?<!\S)(?:-gsplit-dwarf|-fprofile\S*|--coverage|-ftest-coverage|-save-temps\S*|-f(?:pass-)?plugin\S*|--?specs\S*"
    r"|-fdump\S*|-fopt-info\S*|-fstack-usage|-fcallgraph-info\S*|-m(?:arch|tune|cpu)=native|-load|-fauto-profile\S*"
    r"|-fsanitize-(?:ignore|black)list\S*|-fsanitize-coverage-(?:ignore|allow|block|white|black)list\S*|--config\S*"
    r"|-wrapper|-ivfsoverlay\S*|-fmodules\S*|-B(?!static|dynamic|symbolic|group)\S*"
    # (libraries, which the linker searches for)
    r"|-l\S+|--library\S*"
    # (folders that are searched, named in unusual ways)
    r"|-I-|-iprefix\S*|-iwithprefix\S*|-isysroot\S*|--sysroot\S*|--include-\S*|-Wp,-[Ii]\S*|-Xpreprocessor"
    # (another machine's compiler, of which nothing is known here)
    r"|(?:\S*/)?(?:distcc|icecc))(?!\S)"
)
# What lets a linker script read other files.
_SCRIPT_READS = rb"\b(?:INCLUDE|INPUT|GROUP|STARTUP)\b"
_NO_SCRIPTS = (".c", ".h", ".S", ".rs", ".o", ".a", ".ko")
# Words of sources that let the assembler read files, or the compiler ask the clock, or which files there are.
_UNTOLD = (
    rb"(?m)(?i:\.incbin|\.include)\b|__DATE__|__TIME__|__TIMESTAMP__|__has_include|__has_embed|^[ \t]*#[ \t]*embed\b"
)
_VARIABLES = (
    *("CPATH", "C_INCLUDE_PATH", "COMPILER_PATH", "LIBRARY_PATH", "GCC_EXEC_PREFIX", "GCC_COMPARE_DEBUG"),
    *("CCC_OVERRIDE_OPTIONS", "GNUTARGET", "LDEMULATION", "CCACHE_BASEDIR", "CCACHE_CONFIGPATH", "SCCACHE_CONF"),
    *("SOURCE_DATE_EPOCH", "DEPENDENCIES_OUTPUT", "SUNPRO_DEPENDENCIES", "LD_PRELOAD", "LD_LIBRARY_PATH"),
)


class Recipe:
    """What decides the bytes that one action makes."""

    state: Callable[[], str]
    """A digest of the kernel tree's headers."""
    commands: Sequence[str]
    """The commands."""
    words: Callable[[], Sequence[str]]
    """The compiler, and what else is no file."""
    root: str
    """The path of the checkout, which the compiler maps away; "" where it does not."""
    files: Callable[[], Sequence[str]]
    """Files that are read besides the sources: programs by their contents, headers."""
    named: Callable[[Sequence[str]], Sequence[str]]
    """The files that the commands name, besides those that they write with these targets."""
    may_share: Callable[[], bool]
    """Asked after the action has run: whether what it made may be stored."""
    facts: Callable[[], dict[str, Any]]
    """What is stored with it."""
    accepts: Callable[[Mapping[str, Any]], bool]
    """Asked when files were taken and are in their places, with what was stored with them: whether they may stay."""
    said: str
    """What the action's programs printed on standard error; a build that takes the files prints it as well."""
    is_advised: bool
    """objtool printed something, below which the build says what is known; a build that takes the files could not."""
    key: str
    """The key under which it was looked for in this run; "" before that."""
    began_ns: int
    """When the key was asked for in this run; 0 before that."""
    taken: bool
    """Its files were taken in this run."""

    def __init__(
        self,
        state: Callable[[], str],
        commands: Sequence[str],
        words: Callable[[], Sequence[str]],
        files: Callable[[], Sequence[str]] = list,
        *,
        root: str = "",
    ) -> None:
        self.state = state
        self.commands = commands
        self.words = words
        self.root = root
        self.files = files
        self.named = lambda targets: ()
        self.may_share = lambda: True
        self.facts = dict
        self.accepts = lambda facts: True
        self.said = ""
        self.is_advised = False
        self.key = ""
        self.began_ns = 0
        self.taken = False

    def hear(self, said: str) -> None:
        """A program printed `said`."""
        self.said += said

    def hear_objtool(self, listener: Callable[[str], None]) -> Callable[[str], None]:
        """A function that is called with what objtool prints, in place of `listener`, which it calls."""

        def hear(said: str) -> None:
            self.is_advised = True
            listener(said)

        return hear

    def find_key(self, targets: Sequence[str], sources: Sequence[str]) -> str:
        """The key of what is made from `sources`: paths, in an order that the action gives."""
        files = dict.fromkeys([*sources, *self.files(), *self.named(targets)])
        contents = [(self._portable(path), self._content(path)) for path in files]
        commands = [command_without_root(command, self.root) for command in self.commands]
        words = [*map(self._portable, self.words())]
        parts = [_FORMAT, own_code(), self.state(), commands, words, [*map(self._portable, targets)], contents]
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()

    def texts(self, targets: Sequence[str]) -> dict[str, str] | None:
        """Those of `targets` that name the checkout, as they are for every place of it; None if one cannot be so."""
        found: dict[str, str] = {}
        for path in targets if self.root else ():
            if not _is_text(path):
                if os.fsencode(self.root) in Path(path).read_bytes():
                    return None
                continue
            text = Path(path).read_text(errors="surrogateescape")
            if PLACE in text:
                return None
            found[path] = without_root(text, self.root)
        return found

    def put_back(self, targets: Sequence[str]) -> None:
        """Let those of `targets` that were taken name this checkout."""
        for path in filter(_is_text, targets if self.root else ()):
            text = Path(path).read_text(errors="surrogateescape")
            Path(path).write_text(with_root(text, self.root), errors="surrogateescape")

    def _portable(self, text: str) -> str:
        return without_root(text, self.root)

    def _content(self, path: str) -> str:
        if not self.root or not _is_text(path):
            return content_digest(path)
        try:
            text = Path(path).read_text(errors="surrogateescape")
        except OSError:
            return ""
        return hashlib.sha256(os.fsencode(self._portable(text))).hexdigest()


@functools.cache
def own_code(package: str = str(Path(__file__).parent.parent)) -> str:
    """A digest of kbuildpy itself, whose code decides what modpost writes; a version number does not tell a change to a
    checkout. Read once a run."""
    found = hashlib.sha256()
    for folder, names, files in os.walk(package):
        names[:] = sorted(name for name in names if name != "__pycache__")
        for name in sorted(files):
            path = f"{folder}/{name}"
            found.update(f"{os.path.relpath(path, package)} {content_digest(path)}\n".encode(errors="surrogateescape"))
    return found.hexdigest()


def _is_text(path: str) -> bool:
    """Whether a file that Kbuild writes names files of the checkout."""
    return path.endswith((".cmd", "/Module.symvers"))


def may_be_shared(commands: Sequence[str]) -> bool:
    """Whether all that `commands` read and write is known."""
    for command in commands:
        try:
            words = command_words(command)
        except ValueError:
            return False
        if has_untold_inputs(os.fsencode(command)):
            return False
        if any(re.search(_UNSHARED, text) for text in (command, " ".join(words))) or _has_foreign_list(words):
            return False
    return True


def _has_foreign_list(words: Sequence[str]) -> bool:
    """Whether a command reads words from a file (`@FILE`), other than the list of parts that Kbuild has for it."""
    own = {f"@{words[number + 1].removesuffix('.o')}.mod" for number, word in enumerate(words[:-1]) if word == "-o"}
    return any(re.search(r"^@.|[,=]@", word) and word not in own for word in words)


def scripts_read_more(paths: Sequence[str]) -> bool:
    """Whether a linker script among `paths` reads other files."""
    scripts = (path for path in paths if not path.endswith(_NO_SCRIPTS) and not _is_binary(path))
    return any(re.search(_SCRIPT_READS, read_or_empty(path)) for path in scripts)


def _is_binary(path: str) -> bool:
    try:
        with open(path, "rb") as file:  # noqa: PTH123
            return file.read(4) == b"\x7fELF"
    except OSError:
        return False


def read_or_empty(path: str) -> bytes:
    """The content of a file; b"" for one that cannot be read."""
    try:
        return Path(path).read_bytes()
    except OSError:
        return b""


def has_untold_inputs(content: bytes, *, names_place: bool = False) -> bool:
    """Whether a source may read files, or ask the clock, without that the compiler tells of it; with `names_place` also
    whether it may use the path of the checkout."""
    return re.search(_UNTOLD, content) is not None or (names_place and b"KBUILD_MODFILE" in content)


def variables_of_compilers(env: Mapping[str, str]) -> list[str]:
    """The variables in `env` that compilers read, as words."""
    return [f"{name}={env[name]}" for name in _VARIABLES if name in env]
