# SPDX-License-Identifier: GPL-2.0-only
"""`kbuildpy preflight --build`: modules that have to be built for the other kernel are, in a folder that goes away."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from kbuildpy.child import end_with
from kbuildpy.kernel.module_files import module_name
from kbuildpy.kernel.tree import KernelTree
from kbuildpy.loader.kernel import LoaderKernel
from kbuildpy.own_command import own_command
from kbuildpy.preflight.findings import ModuleFinding, Source
from kbuildpy.preflight.judge import judge_modules
from kbuildpy.preflight.subjects import Candidate, ModuleSet
from kbuildpy.run import run

_LONGEST = 300
"""Characters of what a failed build says."""
_SOURCES = "its sources have to be changed: is there a newer version of it?"
_FROM_SOURCES = ("rebuild", "impossible", "copy")
"""States of modules that may be all right once they are built. (What an old file lacks, its sources may not need.)"""


def judge_built(
    findings: Sequence[ModuleFinding],
    kernel: LoaderKernel,
    tree: KernelTree,
    modules: tuple[ModuleSet, ModuleSet],
    sources: Mapping[str, Source],
) -> list[ModuleFinding]:
    """`findings` with those of modules that must be built replaced by what came of building them for `tree`; `modules`
    are those of the present kernel, and of `kernel`."""
    wanted = [(each, each.source.directory) for each in findings if each.source and each.state in _FROM_SOURCES]
    with TemporaryDirectory(prefix="kbuildpy-preflight-") as scratch:
        built = {
            directory: _build(directory, tree, Path(scratch, str(number)))
            for number, directory in enumerate(dict.fromkeys(directory for _, directory in wanted))
        }
        candidates, failed = [], {}
        for each, directory in wanted:
            files, error = built[directory]
            if each.name in files:
                candidates.append(Candidate(each.name, each.loaded, files[each.name]))
            else:
                reason = error or f"{kernel.release}: its build makes no {each.name}.ko"
                failed[each.name] = replace(each, state="unbuildable", reason=reason, hint=_SOURCES)
        judged = {each.name: _of_built(each) for each in judge_modules(candidates, kernel, *modules, sources)}
    found = [judged.get(each.name, failed.get(each.name, each)) for each in findings]
    return sorted(found, key=lambda each: (not each.is_lost, not each.loaded, each.name))


def _of_built(finding: ModuleFinding) -> ModuleFinding:
    """The finding for a file that was built, without the file, which goes away."""
    reason = finding.reason.replace(f"{finding.file}: ", "")
    if finding.state != "loads":
        return replace(finding, file="", reason=reason)
    return replace(finding, state="builds", file="", reason="", hint="")


def _build(directory: Path, tree: KernelTree, out: Path) -> tuple[dict[str, Path], str]:
    """The modules that `directory` builds for `tree`, by their names, or what is wrong."""
    words = ["build", str(directory), "-k", str(tree.objects), "-o", str(out), "--format", "json", "-q"]
    jobs = f"-j{len(os.sched_getaffinity(0))}"
    done = run([*own_command(*words), jobs, "CHECK=0"], check=False, begin=partial(end_with, os.getpid()))
    files, errors = {}, []
    for line in done.text.splitlines():
        with suppress(ValueError):
            item = json.loads(line)
            errors += [str(item[key]) for key in ("skipped", "error") if item.get(key)]
            if item.get("built") and item.get("file"):
                files[module_name(Path(item["file"]).name)] = Path(item["file"])
    if done.returncode == 0 and not errors:
        return files, ""
    said = [line for line in done.error_text.splitlines() if "error: " in line.lower()] or errors or ["its build fails"]
    return {}, f"its sources do not build for {tree.release}: {said[0].strip()}"[:_LONGEST]
