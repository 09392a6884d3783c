# SPDX-License-Identifier: GPL-2.0-only
"""Finds the objects that a changed kernel header or a changed CONFIG_ symbol makes stale.

An object depends on about a thousand kernel headers. They are not nodes of SCons' graph: each header that any object
reads is stat'ed once per run, and only then the objects that read a changed one are looked up. The `.cmd` file of each
object names its headers (`cmd_file`). The index here summarizes these files, because reading them all would cost more
than the rest of a no-op build.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from kbuildpy.kbuild.cmd_file import CmdFile, mentioned_symbols, parse_cmd_file
from kbuildpy.kbuild.normal_path import normal_path
from kbuildpy.kbuild.stamps import Stamp, digest, stamp
from kbuildpy.kernel.cache import cache_directory, read_json, write_json
from kbuildpy.kernel.tree import KernelTree

_FORMAT = 7
# The part of the states that need not be used: numbers that stay are written as they are.
_MOST_UNUSED = 0.2


class HeaderSymbols:
    """The CONFIG_ symbols that each source file mentions.

    The user's cache keeps the symbols of the kernel tree's files, in one file per tree. It does not keep those of
    modules' files: the cache would grow with every module that is ever built, and every build would load it.
    """

    def __init__(self, tree: KernelTree) -> None:
        self._path = cache_directory() / "tree_headers" / f"{digest(str(tree.objects))}.json"
        self._roots = (f"{tree.objects}/", f"{tree.source}/")
        self._known: dict[str, list[Any]] | None = None
        self._seen: dict[str, list[str]] = {}
        self._changed = False

    def of(self, path: str) -> list[str]:
        """The symbols of one file; none for a file that cannot be read."""
        seen = self._seen.get(path)
        if seen is None:
            seen = self._seen[path] = self._look(path)
        return seen

    def load(self) -> dict[str, list[Any]]:
        """Read the symbols that earlier builds found, and return them; a thread can call it while the first compiler
        runs."""
        if self._known is None:
            value = read_json(self._path)
            self._known = value if isinstance(value, dict) else {}
        return self._known

    def _look(self, path: str) -> list[str]:
        if not path.startswith(self._roots):
            return _read_symbols(path) or []
        known = self.load()
        now = stamp(path)
        entry = known.get(path)
        if entry is not None and entry[:2] == [now[0], now[1]]:
            return list(entry[2])
        symbols = _read_symbols(path)
        if symbols is None:
            return []
        known[path] = [now[0], now[1], symbols]
        self._changed = True
        return symbols

    def save(self) -> None:
        """Write the symbols that were found in this run."""
        if self._changed and self._known is not None:
            write_json(self._path, self._known)
            self._changed = False


def _read_symbols(path: str) -> list[str] | None:
    """The symbols that the file `path` mentions; None if it cannot be read."""
    try:
        return sorted(mentioned_symbols(Path(path).read_bytes()))
    except OSError:
        return None


def read_autoconf(path: Path) -> dict[str, str]:
    """The configuration as C code sees it: symbol (without `CONFIG_` and `_MODULE`) to its definition, "m" for one with
    `_MODULE`; empty if `path` cannot be read."""
    values: dict[str, str] = {}
    try:
        text = path.read_text(errors="surrogateescape")
    except OSError:
        return values
    for line in text.splitlines():
        if line.startswith("#define CONFIG_"):
            name, _, value = line[len("#define CONFIG_") :].partition(" ")
            if name.endswith("_MODULE"):
                name, value = name[: -len("_MODULE")], "m"
            values[name] = value
    return values


class Freshness:
    """The index of one output directory: the state that each kernel header and CONFIG_ symbol had when an object was
    made from it.

    `path` is the file that keeps the index, `autoconf` the tree's generated autoconf.h. Names in `.cmd` files are
    relative to `cwd`. Files for which `is_own` is true are nodes of SCons' graph, and are ignored here. An entry of
    `_states` is a file in one state (modification time in ns, size in bytes). An object refers to the states that it
    was made from, so that it stays stale until it is made again.

    An object has a thousand states and a thousand CONFIG_ symbols, and most builds look at none of them: nothing has
    changed. So each entry keeps them as one text of words, which is quick to read and to write.
    """

    def __init__(self, path: Path, *, autoconf: Path, cwd: str, is_own: Callable[[str], bool]) -> None:
        self._path = path
        self._autoconf = autoconf
        self._cwd = cwd
        self._is_own = is_own
        value = read_json(path)
        if not isinstance(value, dict) or value.get("format") != _FORMAT:
            value = {"states": [], "used": 0, "objects": {}, "configs": {}, "autoconf": [0, 0, ""]}
        self._states: list[tuple[str, int, int]] = [(name, mtime, size) for name, mtime, size in value["states"]]
        self._numbers = {state: number for number, state in enumerate(self._states)}
        self._used: int = value["used"]
        """How many states there were when unused ones were forgotten last."""
        self._objects: dict[str, dict[str, Any]] = value["objects"]
        self._configs: dict[str, dict[str, str]] = value["configs"]
        self._stamps: dict[str, Stamp] = {}
        self._dirty = False
        self._config = self._current_config(value["autoconf"])
        self._outdated: frozenset[int] | None = None

    def is_stale(self, object_file: str, cmd_path: str) -> bool:
        """Whether a kernel header or CONFIG_ symbol of `object_file` changed since the object was made. True if its
        headers are not known."""
        entry = self._objects.get(object_file)
        if entry is None or tuple(entry["record"]) != stamp(cmd_path):
            entry = self._adopt(object_file, cmd_path)
            if entry is None:
                return True
        if self._has_outdated(entry):
            return True
        if entry["config"] == self._config:
            return False
        then, now = self._configs.get(entry["config"], {}), self._configs[self._config]
        if any(then.get(name) != now.get(name) for name in entry["symbols"].split()):
            return True
        entry["config"] = self._config
        self._dirty = True
        return False

    def changes(self, object_file: str, *, name: Callable[[str], str] = str) -> list[str]:
        """Sentences about the changes since a stale object was made: kernel headers, as `name` shows their paths, and
        CONFIG_ symbols with both values. Empty if the changes are not known."""
        paths, symbols = self._changed(object_file)
        return [
            *(f"{name(path)} changed" for path in paths),
            *(f"CONFIG_{symbol} was {_in_words(then)}, is {_in_words(now)}" for symbol, then, now in symbols),
        ]

    def why_stale(self, object_file: str) -> str:
        """Why an object is stale: a sentence with up to three of the headers and CONFIG_ symbols that changed."""
        if object_file not in self._objects:
            return "its dependencies are not known"
        paths, symbols = self._changed(object_file)
        names = [*paths, *(f"CONFIG_{symbol}" for symbol, _, _ in symbols)]
        shown = ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
        return f"{shown} changed" if names else "its .cmd file changed"

    def _changed(self, object_file: str) -> tuple[list[str], list[tuple[str, str | None, str | None]]]:
        """The headers that changed since an object was made, and the CONFIG_ symbols that changed, each with its
        definition then and now."""
        entry = self._objects.get(object_file)
        if entry is None:
            return [], []
        outdated = self._outdated_states().intersection(_numbers(entry))
        then, now = self._configs.get(entry["config"], {}), self._configs[self._config]
        symbols = [(name, then.get(name), now.get(name)) for name in entry["symbols"].split()]
        return sorted(self._states[number][0] for number in outdated), [item for item in symbols if item[1] != item[2]]

    def own_headers(self, object_file: str, cmd_path: str) -> list[str] | None:
        """The module's own headers that the object was made from; None for an object without a `.cmd` file."""
        entry = self._objects.get(object_file)
        if entry is not None and tuple(entry["record"]) == stamp(cmd_path):
            return list(entry["own"])
        try:
            cmd_file = parse_cmd_file(Path(cmd_path).read_text(errors="surrogateescape"))
        except OSError:
            return None
        return [path for path in self._paths(cmd_file) if self._is_own(path)]

    def note(self, object_file: str, cmd_path: str, cmd_file: CmdFile, *, began_ns: int) -> None:
        """Record that an object was made just now, from what `cmd_file` says; `began_ns` is when its compiler started.

        The compiler may have read the former content of a header that was written after that moment. The object is then
        stale in the next build.
        """
        states, own = [], []
        for path in self._paths(cmd_file):
            if not self._is_own(path):
                seen = self._stamp(path)
                states.append(self._number((path, seen[0] if seen[0] < began_ns else -1, seen[1])))
                continue
            own.append(path)
            if stamp(path)[0] >= began_ns:
                states.append(self._number((path, -1, 0)))
        self._objects[object_file] = {
            "record": list(stamp(cmd_path)),
            "states": " ".join(map(str, states)),
            "own": own,
            "symbols": " ".join(sorted(cmd_file.symbols)),
            "config": self._config,
        }
        self._dirty = True

    def files(self) -> set[str]:
        """The files that objects were made from and that are not nodes of SCons' graph."""
        return {path for path, _, _ in self._states}

    def save(self) -> None:
        """Write the index if it changed."""
        if not self._dirty:
            return
        if len(self._states) > self._used * (1 + _MOST_UNUSED):
            self._forget_unused()
        configs = {entry["config"] for entry in self._objects.values()} | {self._config}
        value = {
            "format": _FORMAT,
            "states": self._states,
            "used": self._used,
            "objects": self._objects,
            "configs": {name: config for name, config in self._configs.items() if name in configs},
            "autoconf": [*self._autoconf_stamp, self._config],
        }
        write_json(self._path, value)
        self._dirty = False

    def _forget_unused(self) -> None:
        """Forget the states that no object refers to any more: all others get new numbers."""
        numbers = {name: _numbers(entry) for name, entry in self._objects.items()}
        used = sorted(set().union(*numbers.values()))
        renumbered = {number: str(index) for index, number in enumerate(used)}
        for name, entry in self._objects.items():
            entry["states"] = " ".join(renumbered[number] for number in numbers[name])
        self._states = [self._states[number] for number in used]
        self._numbers = {state: number for number, state in enumerate(self._states)}
        self._used = len(used)
        self._outdated = None

    def _has_outdated(self, entry: dict[str, Any]) -> bool:
        outdated = self._outdated_states()
        return bool(outdated) and not outdated.isdisjoint(_numbers(entry))

    def _stamp(self, path: str) -> Stamp:
        seen = self._stamps.get(path)
        if seen is None:
            seen = self._stamps[path] = stamp(path)
        return seen

    def _number(self, state: tuple[str, int, int]) -> int:
        number = self._numbers.get(state)
        if number is None:
            number = self._numbers[state] = len(self._states)
            self._states.append(state)
        return number

    def _outdated_states(self) -> frozenset[int]:
        if self._outdated is None:
            self._outdated = frozenset(
                number for number, (path, mtime, size) in enumerate(self._states) if self._stamp(path) != (mtime, size)
            )
        return self._outdated

    def _current_config(self, known: list[Any]) -> str:
        # stamp before reading: autoconf.h may change while the build runs
        now = self._autoconf_stamp = stamp(self._autoconf)
        if known[:2] == [now[0], now[1]] and known[2] in self._configs:
            return str(known[2])
        values = read_autoconf(self._autoconf)
        name = digest(sorted(values.items()))
        self._configs[name] = values
        self._dirty = True
        return name

    def _adopt(self, object_file: str, cmd_path: str) -> dict[str, Any] | None:
        """Add an object that the index does not have (the index was lost), by its `.cmd` file. Returns the entry, or
        None if a file that it was made from is newer than the `.cmd` file. The status-change time decides, because a
        package installs headers with an older modification time."""
        made = stamp(cmd_path)[0]
        if not 0 < _arrival(str(self._autoconf)) < made:
            return None
        cmd_file = parse_cmd_file(Path(cmd_path).read_text(errors="surrogateescape"))
        foreign = [path for path in self._paths(cmd_file) if not self._is_own(path)]
        if not cmd_file.source or not all(0 < _arrival(path) < made for path in foreign):
            return None
        self.note(object_file, cmd_path, cmd_file, began_ns=time.time_ns())
        self._outdated = None
        return self._objects[object_file]

    def _paths(self, cmd_file: CmdFile) -> list[str]:
        return [normal_path(self._cwd, name) for name in cmd_file.headers]


def _numbers(entry: dict[str, Any]) -> list[int]:
    """The numbers of the states that an object was made from."""
    return list(map(int, entry["states"].split()))


def _in_words(definition: str | None) -> str:
    """A CONFIG_ symbol's definition in C as .config writes it: `y` for 1, "not set" for none."""
    return {None: "not set", "1": "y"}.get(definition, str(definition))


def _arrival(path: str) -> int:
    try:
        return os.stat(path).st_ctime_ns  # noqa: PTH116 - as in `stamp`
    except OSError:
        return 0
