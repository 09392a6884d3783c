"""Asks what Kbuild would do for one module directory (`mk/directory.mk`), and remembers the answer.

The counterpart is scripts/Makefile.build. It runs under `make -n -B`: nothing is executed, everything is
named. An answer takes 10 to 60 ms; remembering it saves a no-op build that time and the start of make.
"""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kbuildpy.kbuild.cached import recall, remember
from kbuildpy.kbuild.check_paths import check_directory_name, check_kbuild_file, check_pattern
from kbuildpy.kbuild.make_environment import environment_key
from kbuildpy.kbuild.make_output import MAKEFILES, make_failed, read_records
from kbuildpy.kbuild.namespace import entry
from kbuildpy.kbuild.overlay import Overlay, find_in
from kbuildpy.kbuild.parse_plan import DirectoryOutput, parse_plan
from kbuildpy.kbuild.plan import Plan, plan_from_json, plan_to_json
from kbuildpy.kbuild.stamps import digest, stamps
from kbuildpy.kbuild.tree_answer import TreeAnswer
from kbuildpy.run import run
from kbuildpy.similar import similar_file

_SOURCE_NAME = re.compile(r"(\.(c|S|rs|mk|h)|_shipped|^Kbuild.*|^Makefile.*)$")
_NO_SOURCE = re.compile(r"No rule to make target '(.*)\.o', needed by")


@dataclass(frozen=True)
class _Question:
    """What is asked about a module directory."""

    answer: TreeAnswer
    directory: Path
    environ: Mapping[str, str]
    below: str = ""
    kbuild_file: Path | None = None
    coming: tuple[str, ...] = ()

    @property
    def key(self) -> str:
        """All that the reply depends on, except files."""
        answer, kbuild_file = self.answer, str(self.kbuild_file)
        environment = environment_key(self.environ)
        question = (answer.variables, str(self.directory), environment, kbuild_file, self.coming, self.below)
        return digest(answer.identity, answer.state, question)


def ask_directory(
    answer: TreeAnswer,
    directory: Path,
    *,
    environ: Mapping[str, str],
    below: str = "",
    cache: Path | None = None,
    kbuild_file: Path | None = None,
    coming_sources: Iterable[str] = (),
    overlay: Overlay | None = None,
) -> Plan:
    """What Kbuild would do for `directory` (absolute, physical), or for its subdirectory `below` alone.

    `cache` is a file to remember the answer in, unless it is changeable; `kbuild_file` stands in for the directory's
    own Kbuild file; `coming_sources` name sources that will exist when they are needed. What the Kbuild file writes
    while it is read is written in `overlay`, or else among the sources. Raises `OverlayRefused`, `UsageError` for a
    directory that Kbuild cannot build in, and `KbuildError` with make's message, file and line for a Kbuild file
    that make refuses or a source that is missing.
    """
    check_directory_name(directory)
    if not answer.in_directory:
        check_pattern(directory)
    if kbuild_file is None:
        check_kbuild_file(directory)
    question = _Question(answer, directory, environ, below, kbuild_file, tuple(coming_sources))
    if cache is not None:
        known = _recall_plan(cache, question.key, overlay)
        if known is not None:
            return known
    plan = _ask(question, overlay)
    if cache is not None and not plan.changeable:
        value = {"listing": _listing(plan, overlay), "plan": plan_to_json(plan)}
        remember(cache, value, stamps(find_in(overlay, name) for name in plan.makefiles), key=question.key)
    return plan


def remembered_plan(answer: TreeAnswer, directory: Path, *, environ: Mapping[str, str], cache: Path) -> Plan | None:
    """What `ask_directory` remembers in `cache` of its answer for `directory`; None if it would ask."""
    return _recall_plan(cache, _Question(answer, directory, environ).key, None)


def _recall_plan(cache: Path, key: str, overlay: Overlay | None) -> Plan | None:
    value: Any = recall(cache, key=key)
    try:
        plan = plan_from_json(value["plan"])
        return plan if _listing(plan, overlay) == value["listing"] else None
    except (KeyError, TypeError):
        return None


def _listing(plan: Plan, overlay: Overlay | None) -> str:
    """A digest of the names that make's rules choose among, in every directory that the plan looked into."""
    names = []
    for folder in plan.listed:
        found: set[str] = set()
        for place in overlay.folders(folder) if overlay else [folder]:
            with suppress(OSError), os.scandir(place) as items:
                found.update(item.name for item in items if _SOURCE_NAME.search(item.name))
        names.append(sorted(found))
    return digest(plan.listed, names)


def _ask(question: _Question, overlay: Overlay | None) -> Plan:
    answer, directory, kbuild_file = question.answer, question.directory, question.kbuild_file
    cwd = answer.working_directory(str(directory))
    begin = entry(overlay, cwd) if overlay else None
    obj = (question.below or ".") if answer.in_directory else str(directory / question.below)
    with tempfile.TemporaryDirectory(prefix="kbuildpy-") as scratch:
        records = Path(scratch) / "records"
        env = answer.environment_for(question.environ, str(directory)) | {
            "KBUILDPY_MK": str(MAKEFILES),
            "KBUILDPY_RECORDS": str(records),
            "KBUILDPY_SOURCES": " ".join(question.coming),
        }
        if kbuild_file is not None:
            env["KBUILDPY_KBUILD_FILE"] = str(kbuild_file)
        argv = ["make", "-n", "-B", "-f", str(MAKEFILES / "directory.mk"), f"obj={obj}", "need-builtin="]
        done = run([*argv, "need-modorder=1"], cwd=cwd, env=env, check=False, begin=begin)
        written = Path(find_in(overlay, str(records)))
        text = written.read_text(errors="surrogateescape") if written.exists() else ""
    if done.returncode != 0:
        said = "what the SConstruct declares" if kbuild_file else "the Kbuild file"
        hint = _missing_source_hint(done.error_text, cwd, said)
        raise make_failed(f"{directory}: make refuses {said}", done.error_text, hint=hint)
    output = DirectoryOutput(
        directory=directory,
        cwd=cwd,
        obj=obj,
        records=list(read_records(text)),
        recipes=done.text,
        warnings=done.error_text,
        overlay=overlay,
    )
    return parse_plan(answer, output)


def _missing_source_hint(stderr: str, cwd: str, said: str) -> str:
    missing = _NO_SOURCE.search(stderr)
    if not missing:
        return ""
    meant = similar_file(Path(cwd, f"{missing.group(1)}.c"), (".c", ".S", "_shipped"))
    return f"is {missing.group(1)}.c missing, or misspelled in {said}? {meant}".rstrip()
