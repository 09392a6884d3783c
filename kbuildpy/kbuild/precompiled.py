# SPDX-License-Identifier: GPL-2.0-only
"""Compiles the headers that every `.mod.c` of a kernel tree begins with once, and not once for each module.

A `.mod.c` is a page of text behind a thousand kernel headers: compiling those is four fifths of its cost, and a
quarter of a whole build. GCC's precompiled headers give the same object, to the byte, without reading them
again. The precompiled file (about 30 MB) is kept in the user's cache, and made when a tree was seen to be built
for repeatedly: making it costs as much as three `.mod.c`.

Nothing depends on it: where GCC does not want the file it reads the same headers as text.

With FAST=1 the same is done for a module's sources, and there the object differs: GCC schedules the code otherwise. So
it is for the time of development alone.
"""

from __future__ import annotations

import os
import re
import shutil
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

from kbuildpy.kbuild.cached import recall, remember
from kbuildpy.kbuild.cmd_file import NOT_A_DEPENDENCY, read_depfile
from kbuildpy.kbuild.command import split_command
from kbuildpy.kbuild.plan import BuildStep
from kbuildpy.kbuild.prefix_maps import records_macros
from kbuildpy.kbuild.stamps import changed_since, digest, stamp, stamps
from kbuildpy.kbuild.tree_answer import TreeAnswer
from kbuildpy.kernel.cache import cache_directory, read_json, write_json
from kbuildpy.run import run

_PREFIX = re.compile(rb"\A(?:#include <[^>\n]+>\n|#define [A-Z_]+\n)+")
_COMMENT = re.compile(r"/\*.*?\*/|//[^\n]*", re.DOTALL)
_HEAD_LINE = re.compile(r"\s*#\s*(?:include\s*<[^>]+>|define\s.*[^\\])\s*")


class PrecompiledKind(NamedTuple):
    """A kind of sources that begin with headers which are compiled beforehand."""

    folder: str
    """The folder in the cache."""
    prefix: Callable[[bytes], str]
    """Finds the text that a source begins with, as far as it is `#include <...>` and `#define`; "" for none."""
    left_out: re.Pattern[str]
    """Options that differ from one source to the next, and that the headers do not depend on."""
    worth_it: int
    """So many compilations pay for making the file (counted over all builds)."""
    kept: int
    """So many files are kept: each is 30 MB."""
    is_ours: bool
    """The sources are generated, so that no error in them is expected."""


def mod_c_prefix(text: bytes) -> str:
    """The lines that a `.mod.c` begins with; "" for none."""
    found = _PREFIX.match(text)
    return found.group().decode() if found else ""


def source_prefix(text: bytes) -> str:
    """The lines with `#include <...>` and `#define` that a source begins with, without comments; "" without a header
    among them."""
    plain = _COMMENT.sub(lambda comment: "\n" * comment.group().count("\n"), text.decode(errors="surrogateescape"))
    lines: list[str] = []
    for line in plain.splitlines():
        if line.strip() and not _HEAD_LINE.fullmatch(line):
            break
        lines += [line.strip()] if line.strip() else []
    while lines and "include" not in lines[-1].split("<")[0]:
        lines.pop()
    return "".join(f"{line}\n" for line in lines)


MOD_C = PrecompiledKind(
    "precompiled", mod_c_prefix, re.compile(r"-D(?:__)?KBUILD_(?:MODNAME|BASENAME|MODFILE)=|-Wp,-MMD,"), 3, 6, True
)
# (the headers may print messages, with the name of the module)
SOURCES = PrecompiledKind(
    "precompiled_sources", source_prefix, re.compile(r"-DKBUILD_BASENAME=|-Wp,-MMD,"), 2, 12, False
)


class Precompiled:
    """The precompiled headers of one tree's sources of a kind; good for one run, to be asked from several threads."""

    def __init__(self, answer: TreeAnswer, kind: PrecompiledKind = MOD_C) -> None:
        self._answer = answer
        self.kind = kind
        self._lock = threading.Lock()
        self._known: dict[str, tuple[Path, tuple[str, ...]]] = {}
        self._usable = answer.tree.config.get("CONFIG_CC_IS_GCC") == "y"

    @cached_property
    def directory(self) -> Path:
        """Where the files are kept."""
        return cache_directory() / self.kind.folder

    def options(
        self, step: BuildStep, source: Path, *, cwd: str, env: Mapping[str, str]
    ) -> tuple[BuildStep, tuple[str, ...]]:
        """`step` (which compiles `source`) as it uses the precompiled headers, and the headers that are in them.

        Where there are none, `step` itself, and nothing. (Debug information with macros names the header that is
        compiled beforehand.)
        """
        usable = self._usable and not records_macros(step.command)
        commands = split_command(step.command) if usable else None
        prefix = self.kind.prefix(source.read_bytes())
        if not commands or not prefix or "-c" not in commands[0] or _wrapped(commands[0]):
            return step, ()
        argv, included = _without_includes(commands[0])
        text = "".join(f'#include "{name}"\n' for name in included) + prefix
        found = self._find(argv, text, cwd=cwd, env=env)
        if found is None:
            return step, ()
        header, names = found
        command = re.sub(r" -include \S+", "", step.command)
        command = command.replace(" -c -o ", f" -include {header} -c -o ", 1)
        return BuildStep(step.rule, step.quiet, command), names

    def _find(
        self, argv: Sequence[str], text: str, *, cwd: str, env: Mapping[str, str]
    ) -> tuple[Path, tuple[str, ...]] | None:
        options = [word for word in argv[: argv.index("-c")] if not self.kind.left_out.match(word)]
        # Relative names of headers mean the same to every module where Kbuild runs in the tree.
        base = "" if self._answer.in_directory else cwd
        key = digest(self._answer.identity, self._answer.compiler, options, text, base)
        with self._lock:
            if key not in self._known:
                autoconf = self._answer.tree.objects / "include/generated/autoconf.h"
                place = self.directory / key
                found = find_or_make(place, options, text, cwd=cwd, env=env, autoconf=str(autoconf), kind=self.kind)
                if found is None:
                    return None
                self._known[key] = found
            return self._known[key]


def find_or_make(
    place: Path,
    options: Sequence[str],
    text: str,
    *,
    cwd: str,
    env: Mapping[str, str],
    autoconf: str,
    kind: PrecompiledKind = MOD_C,
) -> tuple[Path, tuple[str, ...]] | None:
    """The precompiled headers of `text` in `place` and their names, made where that was asked for often; None if there
    are none, also where they cannot be written (a full disk) or another build removes them."""
    try:
        found = _valid(place, text)
        if found is None and _asked_often(place, kind.worth_it):
            found = _make(place, options, text, cwd=cwd, env=env, autoconf=autoconf)
            _forget_old(place.parent, kind.kept)
    except OSError:
        return None
    return found


def _valid(place: Path, text: str) -> tuple[Path, tuple[str, ...]] | None:
    """The headers in `place` and their names; None if they were not made of `text`, or changed since.

    The text counts, too: GCC reads it in place of a precompiled file that it does not want.
    """
    header = place / "module.h"
    names = recall(place / "made-from.json")
    try:
        if names is None or header.read_bytes() != text.encode():
            return None
    except OSError:
        return None
    # (a cache that cannot be written serves as well)
    with suppress(OSError):
        os.utime(place)
    return header, tuple(names)


def _asked_often(place: Path, worth_it: int) -> bool:
    """Count the sources that would have used the file; whether they are enough."""
    known = read_json(place / "asked.json")
    count = known + 1 if isinstance(known, int) else 1
    write_json(place / "asked.json", count)
    return count >= worth_it


def _make(
    place: Path, options: Sequence[str], text: str, *, cwd: str, env: Mapping[str, str], autoconf: str
) -> tuple[Path, tuple[str, ...]] | None:
    header, beside = place / "module.h", place / f"module.{os.getpid()}.gch"
    place.mkdir(parents=True, exist_ok=True)
    header.write_text(text)
    began_ns = time.time_ns()
    depfile = beside.with_suffix(".d")
    argv = [*options, f"-Wp,-MMD,{depfile}", "-x", "c-header", "-o", str(beside), str(header)]
    made = place / "module.h.gch"
    try:
        if run(argv, cwd=cwd, env=env, check=False).returncode != 0:
            return None
        _, names = read_depfile(depfile.read_text(errors="surrogateescape"))
        beside.replace(made)
    finally:
        beside.unlink(missing_ok=True)
        depfile.unlink(missing_ok=True)
    paths = [os.path.normpath(os.path.join(cwd, name)) for name in names]  # noqa: PTH118
    headers = tuple(path for path in dict.fromkeys(paths) if not path.endswith(NOT_A_DEPENDENCY))
    ours = str(place)
    if any(changed_since(path, began_ns) for path in (*paths, autoconf) if not path.startswith(ours)):
        return None
    remember(place / "made-from.json", headers, stamps((*paths, autoconf, made)), began_ns=None)
    return header, headers


def _forget_old(folder: Path, kept: int) -> None:
    """Keep the few that were used last."""
    places = sorted(folder.iterdir(), key=lambda place: stamp(place)[0], reverse=True)
    for place in places[kept:]:
        shutil.rmtree(place, ignore_errors=True)


def _wrapped(argv: Sequence[str]) -> bool:
    """Whether the compiler is called by another program (ccache, distcc), which has ideas of its own."""
    return len(argv) < 2 or not argv[1].startswith("-")


def _without_includes(argv: Sequence[str]) -> tuple[list[str], list[str]]:
    """The words without `-include FILE`, and the files: a precompiled header must be the first to be included."""
    words, included = [], []
    rest = iter(argv)
    for word in rest:
        if word == "-include":
            included.append(next(rest, ""))
        else:
            words.append(word)
    return words, included
