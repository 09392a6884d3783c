# SPDX-License-Identifier: GPL-2.0-only
"""Carries out a cell: runs the commands of kbuildpy for its steps, and turns what they print into records.

This runs in a process of its own, on whatever machine an executor chose. It writes below the folder that it gets, and
nowhere else: `records.jsonl`, `log` (the commands, and what they said), and what was built.
"""

from __future__ import annotations

import json
import os
import shlex
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import IO, Any

from kbuildpy.child import end_with
from kbuildpy.fleet.cell import Cell
from kbuildpy.fleet.contents import is_source
from kbuildpy.fleet.record import FAILED, PASSED, SKIPPED, Record
from kbuildpy.kernel.module_files import find_modules, module_name
from kbuildpy.own_command import own_command
from kbuildpy.pin import environment_to_sign
from kbuildpy.run import run

RECORDS = "records.jsonl"
"""The file with a cell's records, in its folder."""
_PASSING = frozenset({"log", "line", "sections", "tests", "made", "dyndbg", "coverage"})
"""The keys of commands' objects whose values differ each time, or are long; all of it is in the cell's log."""
_TOLD = {"build": "built", "sign": "signed", "check": "accepted", "run": "passed"}
"""The key of a command's object that says whether the step passed."""


def carry_out(cell: Cell, place: Path, *, jobs: int) -> None:
    """Do all steps of `cell`, with `jobs` at a time; `place` is a new folder for its output."""
    place.mkdir(parents=True)
    with (place / "log").open("wb") as log, (place / RECORDS).open("w") as records:
        for record in _records(cell, place, log, jobs=jobs):
            records.write(f"{record.line()}\n")
        records.flush()
        os.fsync(records.fileno())


def _records(cell: Cell, place: Path, log: IO[bytes], *, jobs: int) -> Iterator[Record]:
    modules: dict[Path, str] = {}
    """The modules to go on with, and the inputs that they come from."""
    for number, word in enumerate(cell.inputs):
        path = Path(word)
        if is_source(path):
            out = place / "modules" / str(number)
            built = list(_build(cell, path, out, log, jobs=jobs))
            yield from built
            passed = [record.result for record in built if record.status == PASSED and record.result]
            modules.update((place / str(result["file"]), word) for result in passed)
        else:
            modules.update((file, word) for file in find_modules([path]))
    if "sign" in cell.steps:
        modules = _copied(modules, place)
    for step in cell.steps:
        if step == "build" or not modules:
            continue
        found = list(_step(cell, step, modules, place, log))
        yield from found
        if step in ("sign", "check"):
            failed = {(record.input, record.module) for record in found if record.status != PASSED}
            modules = {file: word for file, word in modules.items() if (word, module_name(file.name)) not in failed}


def _build(cell: Cell, directory: Path, out: Path, log: IO[bytes], *, jobs: int) -> Iterator[Record]:
    words = ["build", str(directory), "-k", cell.kernel, "-o", str(out), f"-j{jobs}", "--format", "json", "-q"]
    variables = [f"{name}={value}" for name, value in cell.variables.items()]
    status, values, said = _run([*words, *variables, *cell.options.get("build", ())], log)
    place = out.parents[1]
    for value in values:
        if value.get("file"):
            yield _record(cell, "build", str(directory), _relative(value, place))
    left_out = next((str(value["skipped"]) for value in values if value.get("skipped")), "")
    if left_out:
        yield Record(cell.key, cell.release, str(directory), "", "build", SKIPPED, left_out)
    elif not any(value.get("file") for value in values):
        error = next((value["error"] for value in values if value.get("error")), None)
        yield _without_modules(cell, "build", str(directory), error, said, status)


def _step(cell: Cell, step: str, modules: Mapping[Path, str], place: Path, log: IO[bytes]) -> Iterator[Record]:
    words = [step, *map(str, modules), "--format", "json"]
    if step in ("check", "run"):
        words += ["-k", cell.kernel]
    status, values, said = _run([*words, *cell.options.get(step, ())], log)
    told = set()
    for value in values:
        file = Path(str(value.get("file") or ""))
        if file in modules:
            told.add(file)
            yield _record(cell, step, modules[file], _relative(value, place))
    for file, word in modules.items():
        if file not in told:
            record = _without_modules(cell, step, word, None, said, status)
            yield record._replace(module=module_name(file.name))


def _record(cell: Cell, step: str, word: str, value: Mapping[str, Any]) -> Record:
    name = str(value.get("name") or module_name(Path(str(value.get("file"))).name))
    passed = bool(value.get(_TOLD[step]))
    reason = "" if passed else str(value.get("reason") or value.get("error") or value.get("log") or "it failed")
    hint = "" if passed else str(value.get("hint") or "")
    return Record(cell.key, cell.release, word, name, step, PASSED if passed else FAILED, reason, hint, _lasting(value))


def _without_modules(cell: Cell, step: str, word: str, error: str | None, said: str, status: int) -> Record:
    """The record of a command that said nothing about a module."""
    lines = [line for line in said.splitlines() if line.strip()]
    errors = [line for sign in ("*** ", "error: ") for line in lines if sign in line]
    told = error if error and not error.endswith("(above)") else ""
    reason = next(filter(None, (told, *errors, *lines[-1:])), f"{step} ended with status {status}")
    return Record(cell.key, cell.release, word, "", step, FAILED, reason)


def _lasting(value: Mapping[str, Any]) -> dict[str, Any]:
    """`value` without what differs each time: logs with times, addresses, what was made already."""
    kept = {name: item for name, item in value.items() if name not in _PASSING}
    if isinstance(value.get("log"), str):
        kept["log"] = value["log"]  # (of a check: the line that a kernel would log)
    if isinstance(value.get("complaints"), list):
        kept["complaints"] = [{"kind": item["kind"], "words": item["words"]} for item in value["complaints"]]
    return kept


def _relative(value: Mapping[str, Any], place: Path) -> dict[str, Any]:
    """`value` with a file below `place` named by its path there: the folder is another one in each attempt."""
    file = str(value["file"])
    return {**value, "file": file.removeprefix(f"{place}/")}


def _copied(modules: Mapping[Path, str], place: Path) -> dict[Path, str]:
    """`modules` with copies below `place` of those that lie elsewhere: these are not to be changed."""
    found = {}
    for number, (file, word) in enumerate(modules.items()):
        copy = file
        if not file.is_relative_to(place):
            copy = place / "modules" / f"file{number}" / file.name
            copy.parent.mkdir(parents=True)
            shutil.copy2(file, copy)
        found[copy] = word
    return found


def _run(words: Sequence[str], log: IO[bytes]) -> tuple[int, list[dict[str, Any]], str]:
    """Run `kbuildpy WORDS`; its status, the objects that it printed, and what it said on standard error. It ends when
    this process does."""
    log.write(f"$ kbuildpy {shlex.join(words)}\n".encode(errors="surrogateescape"))
    env = environment_to_sign() if words[0] == "sign" else None
    done = run(own_command(*words), check=False, begin=partial(end_with, os.getpid()), env=env)
    log.write(done.stdout + done.stderr)
    log.flush()
    return done.returncode, list(_objects(done.stdout.splitlines())), done.error_text


def _objects(lines: Iterable[bytes]) -> Iterator[dict[str, Any]]:
    for line in lines:
        try:
            value = json.loads(line)
        except ValueError:
            continue
        if isinstance(value, dict):
            yield value
