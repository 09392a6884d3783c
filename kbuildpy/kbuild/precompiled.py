# SPDX-License-Identifier: GPL-2.0-only
"""Compiles the headers that every `.mod.c` of a kernel tree begins with once per tree, not once per module.

A `.mod.c` is a page of text after about a thousand kernel headers. Compiling the headers takes four fifths of the time
for a `.mod.c`, and a quarter of the time of a whole build. With GCC's precompiled headers the object is the same, byte
for byte. The user's cache keeps the precompiled file (about 30 MB). It is made only for a tree that is used repeatedly,
because making it takes as long as compiling three `.mod.c`.

The build does not depend on the file: if GCC rejects it, GCC reads the same headers as text.

FAST=1 does the same for the module's sources. There the object differs, because GCC schedules the code differently; so
it is meant for development only.
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
_STRING_OR_COMMENT = re.compile(r'("(?:[^"\\\n]|\\.)*")|/\*.*?\*/|//[^\n]*', re.DOTALL)
_HEAD_LINE = re.compile(r"\s*#\s*(?:include\s*<[^>]+>|define\s.*[^\\])\s*")


class PrecompiledKind(NamedTuple):
    """A kind of sources whose first headers are compiled beforehand."""

    folder: str
    """The name of the folder in the user's cache."""
    prefix: Callable[[bytes], str]
    """Returns the `#include <...>` and `#define` lines at the beginning of a source; "" for none."""
    left_out: re.Pattern[str]
    """Matches options that differ between sources and do not change the headers."""
    worth_it: int
    """The number of compilations (over all builds) from which on the file is made."""
    kept: int
    """The number of files that the cache keeps; each has about 30 MB."""
    is_ours: bool
    """kbuildpy generates the sources, so they have no errors."""


def mod_c_prefix(text: bytes) -> str:
    """The `#include <...>` and `#define` lines at the beginning of a `.mod.c`; "" for none."""
    found = _PREFIX.match(text)
    return found.group().decode() if found else ""


def source_prefix(text: bytes) -> str:
    """The `#include <...>` and `#define` lines at the beginning of a source, up to the last `#include`, without
    comments; "" if there is no `#include` among them."""
    plain = _STRING_OR_COMMENT.sub(
        lambda match: match[1] or "\n" * match[0].count("\n"), text.decode(errors="surrogateescape")
    )
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
# Here -DKBUILD_MODNAME= is not left out: functions in the headers may print messages with the module's name.
SOURCES = PrecompiledKind(
    "precompiled_sources", source_prefix, re.compile(r"-DKBUILD_BASENAME=|-Wp,-MMD,"), 2, 12, False
)


class Precompiled:
    """Finds or makes the precompiled headers for one tree and one kind of sources, in one run. Threads may share it."""

    def __init__(self, answer: TreeAnswer, kind: PrecompiledKind = MOD_C) -> None:
        self._answer = answer
        self.kind = kind
        self._lock = threading.Lock()
        self._known: dict[str, tuple[Path, tuple[str, ...]]] = {}
        self._usable = answer.tree.config.get("CONFIG_CC_IS_GCC") == "y"

    @cached_property
    def directory(self) -> Path:
        """The folder that keeps the precompiled files."""
        return cache_directory() / self.kind.folder

    def options(
        self, step: BuildStep, source: Path, *, cwd: str, env: Mapping[str, str]
    ) -> tuple[BuildStep, tuple[str, ...]]:
        """`step` (which compiles `source`) changed to use the precompiled headers, and the headers that are in them.

        Without precompiled headers: `step` itself, and (). A step that records macros in debug information (-g3) does
        not use them, because the debug information would name the precompiled file.
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
        # Kbuild runs in the tree up to 6.12: relative names of headers then mean the same files for every module.
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
    """The path of the header with `text` in the folder `place`, beside its precompiled file, and the headers in it.
    Makes them if they were asked for often enough (`kind.worth_it`). None if there are none, also if they cannot be
    written (a full disk) or another build removes them."""
    try:
        found = _valid(place, text)
        if found is None and _asked_often(place, kind.worth_it):
            found = _make(place, options, text, cwd=cwd, env=env, autoconf=autoconf)
            _forget_old(place.parent, kind.kept)
    except OSError:
        return None
    return found


def _valid(place: Path, text: str) -> tuple[Path, tuple[str, ...]] | None:
    """As `find_or_make`, for an existing file; None if it was not made from `text`, or if a header changed since.

    The text in `place` must be right too, because GCC reads it if it rejects the precompiled file.
    """
    header = place / "module.h"
    names = recall(place / "made-from.json")
    try:
        if names is None or header.read_bytes() != text.encode():
            return None
    except OSError:
        return None
    # a cache that cannot be written can still be used
    with suppress(OSError):
        os.utime(place)
    return header, tuple(names)


def _asked_often(place: Path, worth_it: int) -> bool:
    """Count one more source that would have used the file; returns whether the count has reached `worth_it`."""
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
    """Remove all precompiled files from `folder` except the `kept` ones that were used last."""
    places = sorted(folder.iterdir(), key=lambda place: stamp(place)[0], reverse=True)
    for place in places[kept:]:
        shutil.rmtree(place, ignore_errors=True)


def _wrapped(argv: Sequence[str]) -> bool:
    """Whether another program (ccache, distcc) calls the compiler; it may not support precompiled headers."""
    return len(argv) < 2 or not argv[1].startswith("-")


def _without_includes(argv: Sequence[str]) -> tuple[list[str], list[str]]:
    """The words without `-include FILE`, and the files: GCC uses a precompiled header only if it is included first."""
    words, included = [], []
    rest = iter(argv)
    for word in rest:
        if word == "-include":
            included.append(next(rest, ""))
        else:
            words.append(word)
    return words, included
