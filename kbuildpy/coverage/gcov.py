# SPDX-License-Identifier: GPL-2.0-only
"""Runs the compiler's gcov over the counters of a module's objects."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from kbuildpy.coverage.gcda import data_file
from kbuildpy.coverage.observations import CountedObject
from kbuildpy.coverage.record import InstrumentedBuild
from kbuildpy.coverage.report import FileCoverage, FunctionCoverage, together
from kbuildpy.errors import KbuildError
from kbuildpy.files import read_regular
from kbuildpy.printable import printable
from kbuildpy.run import run

_LARGEST = 256 << 20  # bytes that gcov may print


def measured(objects: Sequence[CountedObject], build: InstrumentedBuild) -> list[FileCoverage]:
    """What the counters of `objects` say of the module's own files, by their paths.

    Raises `KbuildError` for notes that are missing or of another build, and for a gcov that is missing.
    """
    with TemporaryDirectory(prefix="kbuildpy-gcov-") as name:
        place = Path(name)
        for number, counted in enumerate(objects):
            (place / f"{number}.gcno").write_bytes(_notes(counted, build))
            (place / f"{number}.gcda").write_bytes(data_file(counted))
        names = [f"{number}.gcda" for number in range(len(objects))]
        answers = _run(build, names, place) if names else []
    files = [file for answer in answers for file in _files(answer, build)]
    return together(files)


def require_gcov(build: InstrumentedBuild) -> None:
    """Raise `KbuildError` with what to install where gcov is missing."""
    run([build.gcov, "--version"])


def _notes(counted: CountedObject, build: InstrumentedBuild) -> bytes:
    """The notes of an object, which lie among the build's output. (The path comes from the guest.)"""
    path = Path(counted.path.removesuffix(".gcda") + ".gcno")
    real = Path(os.path.realpath(path))
    if Path(os.path.realpath(build.out)) not in real.parents or not counted.path.endswith(".gcda"):
        raise KbuildError(
            f"{printable(counted.path)}: counters of an object that is not in {build.out}",
            hint="build again with --coverage, and run the modules from there",
        )
    try:
        return read_regular(real)
    except OSError as error:
        raise KbuildError(
            f"{path}: {error.strerror}", hint="the notes of the compiler are missing: build again with --coverage"
        ) from error


def _run(build: InstrumentedBuild, names: Sequence[str], place: Path) -> list[dict[str, Any]]:
    argv = [build.gcov, "--json-format", "--stdout", "--branch-probabilities", "--branch-counts", *names]
    done = run(argv, cwd=place, env={**os.environ, "LC_ALL": "C"}, timeout=600, check=False)
    said = done.error_text.strip()
    if "mismatch" in said or "unexpected" in said:
        raise KbuildError(
            f"{build.out}: {build.gcov} finds notes of another build than the module's: {said.splitlines()[0]}",
            hint="build again with --coverage, and run the modules from there",
        )
    if done.returncode:
        raise KbuildError(
            f"{build.gcov} failed with status {done.returncode}: {said}", hint="is it the compiler's own?"
        )
    if len(done.stdout) > _LARGEST:
        raise KbuildError(f"{build.gcov} printed {len(done.stdout) >> 20} MiB")
    try:
        return [json.loads(line) for line in done.stdout.decode(errors="replace").splitlines() if line.startswith("{")]
    except ValueError as error:
        raise KbuildError(
            f"{build.gcov} printed what is not JSON", hint="is it the gcov of gcc 11 or later?"
        ) from error


def _files(answer: dict[str, Any], build: InstrumentedBuild) -> list[FileCoverage]:
    """The module's own files in an answer of gcov's."""
    found = []
    directory = str(answer.get("current_working_directory", ""))
    for item in answer.get("files", ()):
        path = os.path.normpath(os.path.join(directory, str(item["file"])))  # noqa: PTH118
        if not _is_own(path, build):
            continue
        lines: dict[int, int] = {}
        branches: dict[int, tuple[int, ...]] = {}
        for line in item["lines"]:
            number = int(line["line_number"])
            lines[number] = lines.get(number, 0) + int(line["count"])
            taken = tuple(int(branch["count"]) for branch in line["branches"])
            branches[number] = (*branches.get(number, ()), *taken)
        functions = tuple(
            FunctionCoverage(str(each["name"]), int(each["start_line"]), int(each["execution_count"]))
            for each in item["functions"]
        )
        branches = {number: taken for number, taken in branches.items() if taken}
        found.append(FileCoverage(path, lines, functions, branches))
    return found


def _is_own(path: str, build: InstrumentedBuild) -> bool:
    if path.startswith(f"{build.directory}/"):
        return True
    return not path.startswith(("/usr/", *(f"{tree}/" for tree in build.trees)))
