# SPDX-License-Identifier: GPL-2.0-only
"""Which source file exports a symbol, and which options that file is compiled with.

The sources say it in `EXPORT_SYMBOL*()` and in the makefiles' `obj-$(CONFIG_...)` lines; both are read as text, because
only the parts of a kernel that a configuration has can be asked by make.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from kbuildpy.kernel.cache import cache_directory, read_json, write_json
from kbuildpy.kernel_build.sources import KernelSource

_EXPORT = re.compile(
    rb"\b(?:EXPORT_(?:PER_CPU_)?SYMBOL(?:_GPL)?(?:_FUTURE|_NS|_NS_GPL)?|EXPORT_SYMBOL_FOR_\w+)\s*\(\s*(\w+)"
)
_TRACEPOINT = re.compile(rb"\bEXPORT_TRACEPOINT_SYMBOL(?:_GPL)?\s*\(\s*(\w+)")
_LINES = re.compile(r"\\\n")
_RULE = re.compile(r"^[ \t]*([\w.\-]+?)-(?:\$\((CONFIG_\w+)\)|([ymn]|objs))[ \t]*[:+]?=[ \t]*([^#\n]*)", re.MULTILINE)
_SKIPPED = ("Documentation", "tools", "scripts", "samples", "usr", "LICENSES")
_DEEPEST = 8


@dataclass(frozen=True)
class _Line:
    """A line of a makefile: `name-$(CONFIG_X) += words`."""

    name: str
    option: str
    """With CONFIG_; "" for a line without a condition."""
    words: tuple[str, ...]


def exporting_files(source: KernelSource, srcarch: str) -> Mapping[str, list[str]]:
    """Exported symbol -> the files (paths in the sources) that export it. Read once for each state of the sources."""
    digest = hashlib.sha256(f"{source.identity} {srcarch}".encode()).hexdigest()[:20]
    kept = cache_directory() / "exports" / f"{digest}.json"
    found = read_json(kept)
    if isinstance(found, dict):
        return found
    found = {}
    for path in _source_files(source.path, srcarch):
        text = path.read_bytes()
        if b"EXPORT_" in text:
            shown = os.fsdecode(path.relative_to(source.path))
            names = [match[1].decode() for match in _EXPORT.finditer(text)]
            for match in _TRACEPOINT.finditer(text):
                names += [
                    f"{prefix}_{match[1].decode()}" for prefix in ("__tracepoint", "__traceiter", "__SCK__tp_func")
                ]
            for name in names:
                found.setdefault(name, []).append(shown)
    write_json(kept, found)
    return found


def options_of_file(source: Path, file: str) -> set[str]:
    """The options (with CONFIG_) that `file` of the sources is compiled with; none for one that always is. Where there
    are several ways, the first one that a makefile has."""
    path = Path(file)
    found: set[str] = set()
    wanted = f"{path.stem}.o"
    directory = path.parent
    for _ in range(_DEEPEST):
        lines = _lines_of(source / directory)
        found |= _options_of_object(lines, wanted, set())
        if directory in (Path(), Path("arch")) or directory.parent == Path("arch"):
            break
        # (a directory that no line of its parent names may be named by one further up: obj-y += a/b/)
        for parent in (directory.parent, *directory.parent.parents):
            name = f"{directory.relative_to(parent)}/"
            matching = [
                line for line in _lines_of(source / parent) if line.name in {"obj", "lib"} and name in line.words
            ]
            if matching:
                found |= {line.option for line in matching[:1] if line.option}
                directory, wanted = parent, ""
                break
        else:
            break
        if directory == Path():
            break
    return found


def _options_of_object(lines: Iterable[_Line], wanted: str, seen: set[str]) -> set[str]:
    """The options behind the object `wanted`, also as a part of composite ones."""
    if not wanted or wanted in seen:
        return set()
    seen.add(wanted)
    for line in lines:
        if wanted in line.words:
            own = {line.option} if line.option else set()
            if line.name in {"obj", "lib", "core", "libs", "drivers", "head"}:
                return own
            return own | _options_of_object(lines, f"{line.name}.o", seen)
    return set()


def _lines_of(directory: Path) -> list[_Line]:
    for name in ("Kbuild", "Makefile"):
        path = directory / name
        if path.is_file() and directory.parts:
            text = _LINES.sub(" ", path.read_text(errors="replace"))
            found = [_Line(match[1], match[2] or "", tuple(match[4].split())) for match in _RULE.finditer(text)]
            if found:
                return found
    return []


def _source_files(source: Path, srcarch: str) -> Iterator[Path]:
    for directory, folders, files in os.walk(source):
        place = os.path.relpath(directory, source)
        if place == ".":
            folders[:] = [name for name in folders if name not in _SKIPPED and not name.startswith(".")]
        elif place == "arch":
            folders[:] = [name for name in folders if name == srcarch]
        for name in files:
            if name.endswith((".c", ".S", ".rs")):
                yield Path(directory, name)
