# SPDX-License-Identifier: GPL-2.0-only
"""Gathers the files of a report. Every text goes through one redactor before it becomes a file."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from kbuildpy.errors import UsageError
from kbuildpy.files import read_limited
from kbuildpy.kernel.compiler import compiler_of
from kbuildpy.kernel.tree import KernelTree
from kbuildpy.report.last_failure import Failure
from kbuildpy.report.plan_facts import plan_facts
from kbuildpy.report.private import ALLOWED_VARIABLES
from kbuildpy.report.recorded_run import RecordedRun
from kbuildpy.report.redact import Redactor
from kbuildpy.report.report_file import ReportFile
from kbuildpy.report.tree_facts import configuration, tree_facts
from kbuildpy.report.versions import versions
from kbuildpy.similar import similar_file

_LARGEST = 64 << 20
_SECRET_CONTENTS = (b"PRIVATE KEY-----", b"PRIVATE KEY BLOCK-----", b"openssh-key-v1")


@dataclass(frozen=True)
class ReportSubject:
    """What a report is about."""

    run: RecordedRun | None = None
    """The command that was run for it."""
    failures: tuple[Failure, ...] = ()
    """Failures that were noted earlier."""
    trees: tuple[KernelTree, ...] = ()
    directory: Path | None = None
    """The module directory."""
    variables: Mapping[str, str] = field(default_factory=dict)
    """Of make's command line."""
    machine: Sequence[Mapping[str, object]] = ()
    """What `kbuildpy doctor` says of each command."""


def gather(
    subject: ReportSubject, redactor: Redactor, *, include: Sequence[Path] = (), as_is: bool = False
) -> list[ReportFile]:
    """The files of a report about `subject`. `include` are files that the user adds; with `as_is` they are not
    changed. Raises `UsageError` for one that cannot be added."""
    texts: dict[str, str] = {}
    if subject.run is not None:
        run = subject.run
        texts["command.txt"] = f"{run.command}\nexit status: {run.status}\nseconds: {run.seconds:.1f}\n"
        texts["output.log"] = run.output
    if subject.failures:
        texts["failures.json"] = _json([asdict(failure) for failure in subject.failures])
    compilers = [compiler_of(tree).program for tree in subject.trees]
    texts["versions.txt"] = versions(also=compilers)
    texts["environment.txt"] = _environment()
    if subject.machine:
        texts["doctor.json"] = "".join(f"{json.dumps(each, ensure_ascii=False)}\n" for each in subject.machine)
    for number, tree in enumerate(subject.trees):
        name = f"kernel-{number + 1}"
        texts[f"{name}/facts.json"] = _json(tree_facts(tree))
        texts[f"{name}/config"] = configuration(tree)
        if subject.directory is not None:
            texts[f"{name}/plan.json"] = plan_facts(tree, subject.directory, subject.variables)
    files = [_redacted(name, text, redactor) for name, text in texts.items()]
    return [*files, *(_included(path, redactor, as_is=as_is) for path in include)]


def _environment() -> str:
    told = [f"{name}={os.environ[name]}" for name in ALLOWED_VARIABLES if name in os.environ]
    others = len(os.environ) - len(told)
    return "\n".join([*told, f"({others} other variables are left out)"]) + "\n"


def _json(value: object) -> str:
    return f"{json.dumps(value, indent=1, ensure_ascii=False)}\n"


def _redacted(name: str, text: str, redactor: Redactor) -> ReportFile:
    return ReportFile(name, redactor.redact(text).encode(errors="backslashreplace"))


def _included(path: Path, redactor: Redactor, *, as_is: bool) -> ReportFile:
    if not path.is_file():
        raise UsageError(f"--include {path}: no such file", hint=similar_file(path))
    contents = read_limited(path, _LARGEST)
    is_text = b"\0" not in contents
    if (as_is or not is_text) and any(mark in contents for mark in _SECRET_CONTENTS):
        raise UsageError(f"--include {path}: has a private key", hint="a report never has one")
    name = f"included/{redactor.redact(path.name)}".replace("<", "").replace(">", "")
    if as_is:
        return ReportFile(name, contents, note="as it is, because of --as-is")
    if is_text:
        return _redacted(name, contents.decode(errors="replace"), redactor)
    count = redactor.in_bytes(contents)
    if count:
        raise UsageError(
            f"--include {path}: not a text, and it names this machine's user, host or directories {count} times",
            hint="--as-is adds it all the same (modules have the paths of their sources: strip -g takes most away)",
        )
    return ReportFile(name, contents, note="not a text, added as it is")
