# SPDX-License-Identifier: GPL-2.0-only
"""Answers probes about a kernel tree, and remembers the answers.

They are kept in the user's cache for as long as everything stays that they were made from: the tree's makefiles,
configuration and compiler, the headers that were read, those that were looked for, and the probes themselves.

Exported symbols come from Module.symvers, all else from the compiler. The kernel's type information (BTF) is not asked:
it has structs that no header declares, so that a yes of it is none for a module, and reading it takes as long as half
of a compiler's run that answers everything.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from kbuildpy.errors import KbuildError
from kbuildpy.kbuild.ask_tree import watched
from kbuildpy.kbuild.cached import cached
from kbuildpy.kbuild.make_environment import environment_key
from kbuildpy.kbuild.probe import errors_of
from kbuildpy.kbuild.stamps import Stamp, digest, stamps
from kbuildpy.kbuild.tree_answer import TreeAnswer
from kbuildpy.kernel.cache import cache_directory
from kbuildpy.kernel.symvers import read_symvers
from kbuildpy.probes.ask_compiler import ask_compiler
from kbuildpy.probes.declaring_headers import include_folders, searched_files, with_headers
from kbuildpy.probes.probe import Probe


class ProbeAnswers(NamedTuple):
    """Yes or no for each probe."""

    found: Mapping[str, bool]
    """By the name of the probe, in its order."""
    units: int
    """How many runs of the compiler that took when it was asked; 0 where other sources told everything."""


def answer_probes(
    answer: TreeAnswer,
    probes: Sequence[Probe],
    *,
    environ: Mapping[str, str],
) -> ProbeAnswers:
    """The answers of the tree of `answer` under `environ` to `probes`, whose names are different.

    Raises `KbuildError` for a probe that has no answer because it is wrong itself, with its place, and for a tree that
    cannot be asked.
    """
    questions = [probe.question() for probe in probes]
    key = digest("probes", questions, answer.identity, answer.state, environment_key(environ))

    def ask() -> tuple[dict[str, object], dict[str, Stamp]]:
        answers, units, files = _ask(answer, probes, environ)
        value = {"answers": [answers[probe] for probe in probes], "units": units}
        return value, {**watched(answer, environ), **stamps(files)}

    def read(value: Mapping[str, object]) -> ProbeAnswers:
        answers, units = value["answers"], value["units"]
        if not isinstance(answers, list) or len(answers) != len(probes) or not isinstance(units, int):
            raise TypeError
        return ProbeAnswers({probe.name: bool(yes) for probe, yes in zip(probes, answers, strict=True)}, units)

    return cached(cache_directory() / "probes" / f"{key}.json", ask, read=read)


def _ask(
    answer: TreeAnswer, probes: Sequence[Probe], environ: Mapping[str, str]
) -> tuple[dict[Probe, bool], int, list[str]]:
    """The answers, the runs of the compiler, and the files that the answers depend on."""
    tree = answer.tree
    found: dict[Probe, bool] = {}
    files: list[str] = []
    for probe in probes:
        if probe.kind == "symbol":
            found[probe] = _exports(probe, tree.symvers)
            files.append(str(tree.symvers))
    rest = [probe for probe in probes if probe not in found]
    if not rest:
        return found, 0, files

    def compile_unit(source: str, *, generate: bool) -> str:
        return errors_of(answer, source, environ=environ, generate=generate)

    replies = ask_compiler(rest, compile_unit)
    found |= replies.answers
    units, headers = replies.units, set(replies.headers)
    files += _places(rest, [str(folder) for folder in include_folders(tree)])
    unknown = [probe for probe in rest if not found[probe] and not probe.includes and probe.kind in _SEARCHED]
    if unknown:
        completed = with_headers(tree, unknown)
        if completed:
            again = ask_compiler(list(completed.values()), compile_unit)
            found |= {probe: again.answers[asked] for probe, asked in completed.items()}
            units += again.units
            headers |= again.headers
    # (a yes stands by the headers that were read; a no, until one of those that were searched changes)
    if not all(found[probe] for probe in unknown):
        files += searched_files(tree)
    return found, units, [*files, *headers]


_SEARCHED = ("type", "member", "declared", "call")


def _exports(probe: Probe, symvers: Path) -> bool:
    try:
        line = read_symvers(symvers).find(probe.text)
    except KbuildError as error:
        raise KbuildError(f"{probe.where()}: {error.message}", hint=error.hint) from error
    return line is not None and (not probe.gpl_only or line[2] == "EXPORT_SYMBOL_GPL")


def _places(probes: Iterable[Probe], folders: Sequence[str]) -> list[str]:
    """Where headers that are asked for, or are optional, may appear or disappear."""
    names = {probe.text for probe in probes if probe.kind == "header"}
    names |= {name.removesuffix("?") for probe in probes for name in probe.includes if name.endswith("?")}
    return [f"{folder}/{name}" for name in sorted(names) for folder in folders]
