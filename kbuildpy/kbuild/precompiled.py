# SPDX-License-Identifier: GPL-2.0-only
"""Compiles the headers that every `.mod.c` of a kernel tree begins with once, and not once for each module.

A `.mod.c` is a page of text behind a thousand kernel headers: compiling those is four fifths of its cost, and a
quarter of a whole build. GCC's precompiled headers give the same object, to the byte, without reading them
again. The precompiled file (about 30 MB) is kept in the user's cache, and made when a tree was seen to be built
for repeatedly: making it costs as much as three `.mod.c`.

Nothing depends on it: where GCC does not want the file it reads the same headers as text.
"""

from __future__ import annotations

import os
import re
import shutil
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import cached_property
from pathlib import Path

from kbuildpy.kbuild.cached import recall, remember
from kbuildpy.kbuild.cmd_file import NOT_A_DEPENDENCY, read_depfile
from kbuildpy.kbuild.command import split_command
from kbuildpy.kbuild.plan import BuildStep
from kbuildpy.kbuild.prefix_maps import records_macros
from kbuildpy.kbuild.stamps import changed_since, digest, stamp, stamps
from kbuildpy.kbuild.tree_answer import TreeAnswer
from kbuildpy.kernel.cache import cache_directory, read_json, write_json
from kbuildpy.run import run

# Fewer modules than this do not pay for making the file (counted over all builds).
_WORTH_IT = 3
_KEPT = 6
_PREFIX = re.compile(rb"\A(?:#include <[^>\n]+>\n|#define [A-Z_]+\n)+")
# Options that differ from one module to the next; the headers use none of these macros.
_OF_THE_MODULE = re.compile(r"-D(?:__)?KBUILD_(?:MODNAME|BASENAME|MODFILE)=|-Wp,-MMD,")


class Precompiled:
    """The precompiled headers of one tree's `.mod.c`s; good for one run, to be asked from several threads."""

    def __init__(self, answer: TreeAnswer) -> None:
        self._answer = answer
        self._lock = threading.Lock()
        self._known: dict[str, tuple[Path, tuple[str, ...]]] = {}
        self._usable = answer.tree.config.get("CONFIG_CC_IS_GCC") == "y"

    @cached_property
    def directory(self) -> Path:
        """Where the files are kept."""
        return cache_directory() / "precompiled"

    def options(
        self, step: BuildStep, source: Path, *, cwd: str, env: Mapping[str, str]
    ) -> tuple[BuildStep, tuple[str, ...]]:
        """`step` (which compiles `source`) as it uses the precompiled headers, and the headers that are in them.

        Where there are none, `step` itself, and nothing. (Debug information with macros names the header that is
        compiled beforehand.)
        """
        usable = self._usable and not records_macros(step.command)
        commands = split_command(step.command) if usable else None
        prefix = _PREFIX.match(source.read_bytes())
        if not commands or len(commands) != 1 or prefix is None or "-c" not in commands[0] or _wrapped(commands[0]):
            return step, ()
        argv, included = _without_includes(commands[0])
        text = "".join(f'#include "{name}"\n' for name in included) + prefix.group().decode()
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
        options = [word for word in argv[: argv.index("-c")] if not _OF_THE_MODULE.match(word)]
        # Relative names of headers mean the same to every module where Kbuild runs in the tree.
        base = "" if self._answer.in_directory else cwd
        key = digest(self._answer.identity, self._answer.compiler, options, text, base)
        with self._lock:
            if key not in self._known:
                autoconf = self._answer.tree.objects / "include/generated/autoconf.h"
                found = find_or_make(self.directory / key, options, text, cwd=cwd, env=env, autoconf=str(autoconf))
                if found is None:
                    return None
                self._known[key] = found
            return self._known[key]


def find_or_make(
    place: Path, options: Sequence[str], text: str, *, cwd: str, env: Mapping[str, str], autoconf: str
) -> tuple[Path, tuple[str, ...]] | None:
    """The precompiled headers of `text` in `place` and their names, made where that was asked for often; None if there
    are none, also where they cannot be written (a full disk) or another build removes them."""
    try:
        found = _valid(place, text)
        if found is None and _asked_often(place):
            found = _make(place, options, text, cwd=cwd, env=env, autoconf=autoconf)
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


def _asked_often(place: Path) -> bool:
    """Count the modules that would have used the file; whether they are enough."""
    known = read_json(place / "asked.json")
    count = known + 1 if isinstance(known, int) else 1
    write_json(place / "asked.json", count)
    return count >= _WORTH_IT


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
    _forget_old(place.parent)
    return header, headers


def _forget_old(folder: Path) -> None:
    """Keep the few that were used last: each is 30 MB."""
    places = sorted(folder.iterdir(), key=lambda place: stamp(place)[0], reverse=True)
    for place in places[_KEPT:]:
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
