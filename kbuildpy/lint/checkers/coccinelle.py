# SPDX-License-Identifier: GPL-2.0-only
"""The semantic patches of the kernel's sources (scripts/coccinelle) in their mode `report`, as scripts/coccicheck runs
them: with the options that a script's comments ask for.

spatch takes most of its time to start, so each run has one script and several sources. (It counts columns from 0.)
"""

from __future__ import annotations

import functools
import os
import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from pathlib import Path

from kbuildpy.lint.finding import Finding, full_path
from kbuildpy.lint.source_checker import CheckRun, LintTools, SourceChecker, of_c
from kbuildpy.lint.subjects import LintSubject
from kbuildpy.run import run

_TOGETHER = 8
"""How many sources one run of spatch has at most."""
_REPORT = ("-D", "report", "--no-show-diff", "--very-quiet")
_LINE = re.compile(r"([^:\n]+):(\d+):(\d+)-\d+: (?:(ERROR|WARNING)\b:? ?)?(.*)")
_OPTIONS = re.compile(r"^//[/#]?\s*Options:(.*)$", re.MULTILINE)
_REQUIRES = re.compile(r"^//[/#]?\s*Requires:\s*([\d.]+)", re.MULTILINE)
_MODES = re.compile(r"^virtual\b.*\breport\b", re.MULTILINE)
_VERSION = re.compile(r"version (\d[\d.]*)")


def _runs(subjects: Sequence[LintSubject], tools: LintTools) -> Iterator[CheckRun]:
    in_c = list(of_c(subjects))
    if not in_c:
        return
    obstacles = _obstacles(tools, in_c[0].env)
    for script in obstacles:
        if obstacles[script]:
            continue
        asked = _OPTIONS.search(_text(script))
        words = (*tools.program, *_REPORT, "--cocci-file", str(script), *(asked[1].split() if asked else ()))
        rule = "/".join(script.with_suffix("").parts[-2:])
        for start in range(0, len(in_c), _TOGETHER):
            some = in_c[start : start + _TOGETHER]
            argv = (*words, *_includes(some), *(subject.source for subject in some))
            yield CheckRun(argv, some[0], f"{rule}.cocci", rule=rule, fails_for="")


def _left_out(tools: LintTools, env: Mapping[str, str]) -> list[str]:
    return [f"{'/'.join(script.parts[-2:])} {why}" for script, why in _obstacles(tools, env).items() if why]


def _obstacles(tools: LintTools, env: Mapping[str, str]) -> dict[Path, str]:
    """The scripts that can report something, each with the reason why it cannot run here, "" for none."""
    places = tools.chosen or ((tools.script,) if tools.script else ())
    found = chain.from_iterable(sorted(place.rglob("*.cocci")) if place.is_dir() else [place] for place in places)
    texts = {script: text for script in found if _MODES.search(text := _text(script))}
    path = env.get("PATH", "")
    version, has_ocaml = _version(tools.program, path), bool(shutil.which("ocamlopt", path=path))
    return {script: _obstacle(text, version, has_ocaml=has_ocaml) for script, text in texts.items()}


def _obstacle(text: str, version: tuple[int, ...], *, has_ocaml: bool) -> str:
    needed = _REQUIRES.search(text)
    if needed and _numbers(needed[1]) > version:
        return f"needs coccinelle {needed[1]}"
    if not has_ocaml and re.search(r"^@.*:\s*ocaml\b", text, re.MULTILINE):
        return "needs an OCaml compiler"
    return ""


@functools.lru_cache(maxsize=4)
def _version(program: tuple[str, ...], path: str) -> tuple[int, ...]:
    """spatch's version, as found in the search path `path`."""
    # (it takes HOME from the environment, and ends without)
    found = _VERSION.search(run([*program, "--version"], env={**os.environ, "PATH": path}, check=False).text)
    return _numbers(found[1]) if found else ()


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(map(int, re.findall(r"\d+", version)))


def _includes(subjects: Sequence[LintSubject]) -> Iterator[str]:
    """The folders and files that sources include, in the form that spatch has for them."""
    for word in dict.fromkeys(chain.from_iterable(_folders(subject.compiler) for subject in subjects)):
        yield from word


def _folders(words: Sequence[str]) -> Iterator[tuple[str, str]]:
    for word, following in zip(words, [*words[1:], ""], strict=True):
        if word.startswith("-I") and len(word) > 2:
            yield "-I", word[2:]
        elif word == "-I":
            yield "-I", following
        elif word == "-include":
            yield "--include", following


def _text(script: Path) -> str:
    return script.read_text(errors="replace")


def _read(text: str, run: CheckRun) -> list[Finding]:
    found = []
    for file, line, column, level, words in _LINE.findall(text):
        path = full_path(run.about.cwd, file)
        worst = "error" if level == "ERROR" else "warning"
        found.append(Finding(COCCINELLE.name, path, int(line), int(column) + 1, worst, words, run.rule))
    return found


COCCINELLE = SourceChecker(
    "coccinelle",
    "the semantic patches of the kernel's sources",
    "spatch",
    _runs,
    _read,
    script="coccinelle",
    left_out=_left_out,
)
