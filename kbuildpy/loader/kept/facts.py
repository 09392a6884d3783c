# SPDX-License-Identifier: GPL-2.0-only
"""The facts of a module: the verdicts on it so far, and the questions to kernels that led to each.

A verdict is found in two steps. A *beginning* has what was asked before symbols are resolved, with one set of answers.
It ends in a verdict, or it has the state before symbols are resolved, and *endings*. An ending has a digest of what the
kernel exports under the names that the module uses, and what was asked afterwards. The stages are deterministic, so a
kernel that gives all answers of a beginning, and all of one of its endings, gives its verdict.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from kbuildpy.loader.kept.forms import Json, Places, loaded_from_json, verdict_from_json
from kbuildpy.loader.kept.questions import Answers
from kbuildpy.loader.kept.watch import Inquiry, about_modules
from kbuildpy.loader.loaded import Loaded, Modules
from kbuildpy.loader.verdict import Verdict

_MOST_BEGINNINGS = 64
_MOST_ENDINGS = 64
"""With more, the oldest is forgotten."""


class Beginning:
    """What was asked before symbols are resolved."""

    def __init__(self, value: Json) -> None:
        self.value = value
        self.places = Places(value["places"])
        self.names: list[str] = [name for name, _, _ in value["state"]["undefined"]] if value.get("state") else []
        self._loaded: dict[int, tuple[Json, Loaded | None]] = {}

    def loaded(self, ending: Json) -> Loaded | None:
        """The module as it is loaded at `ending`: one object, so that its digest is made once."""
        if id(ending) not in self._loaded:
            # (the ending is held here: an identity is given again once its object is gone)
            self._loaded[id(ending)] = ending, loaded_from_json(ending["loaded"])
        _, loaded = self._loaded[id(ending)]
        return loaded


class Facts:
    """The facts of one module file."""

    def __init__(self, value: Json) -> None:
        """`value` is `new_facts`, or what was kept. Raises KeyError, TypeError or ValueError for another value."""
        self.value = value
        self.needs: tuple[str, ...] = tuple(value["needs"])
        self.is_changed = False
        self._beginnings = [Beginning(item) for item in value["beginnings"]]

    def beginning(self, answers: Answers, modules: Modules, args: str) -> Beginning | None:
        """Return the beginning with the answers of this kernel; None if there is none yet."""
        for beginning in self._beginnings:
            if beginning.value["args"] == args and _same(beginning.value, answers, modules):
                return beginning
        return None

    def add_beginning(self, value: Json) -> Beginning:
        """Add a beginning, and return it."""
        beginning = Beginning(value)
        self._beginnings = [*self._beginnings, beginning][-_MOST_BEGINNINGS:]
        self.value["beginnings"] = [item.value for item in self._beginnings]
        self.is_changed = True
        return beginning

    def add_ending(self, beginning: Beginning, ending: Json) -> None:
        """Add an ending to `beginning`."""
        beginning.value["endings"] = [*beginning.value["endings"], ending][-_MOST_ENDINGS:]
        self.is_changed = True


class KeptVerdict(NamedTuple):
    """A verdict that was found, and the module as it is loaded."""

    verdict: Verdict
    loaded: Loaded | None


def new_facts(needs: Iterable[str]) -> Json:
    """Return facts without a verdict; `needs` are the names of the modules that this one depends on."""
    return {"needs": list(needs), "beginnings": []}


def verdict_at(beginning: Beginning, answers: Answers, modules: Modules, *, file: str) -> KeptVerdict | None:
    """Return the verdict of `beginning`, or of the one of its endings that fits; None if there is none yet."""
    kernel = answers.kernel.release
    early = beginning.value.get("verdict")
    if early is not None:
        return KeptVerdict(verdict_from_json(early, beginning.places, file=file, kernel=kernel), None)
    digests: dict[tuple[str, ...], str] = {}
    for ending in beginning.value["endings"]:
        others = tuple(ending["others"])
        if others not in digests:
            digests[others] = answers.of_exports([*beginning.names, *others])
        if digests[others] == ending["exports"] and _same(ending, answers, modules):
            verdict = verdict_from_json(ending["verdict"], beginning.places, file=file, kernel=kernel)
            return KeptVerdict(verdict, beginning.loaded(ending))
    return None


def beginning_to_json(asked: Inquiry, args: str, places: Any, *, verdict: Json | None, state: Json | None) -> Json:
    """Return a beginning that ends in `verdict`, or in `state`."""
    return {"args": args, **_asked(asked), "places": places, "verdict": verdict, "state": state, "endings": []}


def ending_to_json(beginning: Beginning, answers: Answers, asked: Inquiry, verdict: Json, loaded: Json | None) -> Json:
    """Return an ending: what was `asked` after, or in, `beginning`."""
    known = {*beginning.names}
    before = {*beginning.value["asked"][: len(beginning.value["asked"]) // 2]}
    others = []
    rest = Inquiry()
    rest.modules = asked.modules
    for question, answer in asked.kernel.items():
        kind, _, argument = question.partition(" ")
        if kind == "export":
            if argument not in known and question not in before:
                others.append(argument)
        elif kind != "crc" and question not in before:
            # (a CRC that was asked for is part of the digest, with the export that has it)
            rest.kernel[question] = answer
    return {
        "exports": answers.of_exports([*beginning.names, *others]),
        "others": others,
        **_asked(rest),
        "verdict": verdict,
        "loaded": loaded,
    }


def _asked(asked: Inquiry) -> Json:
    return {"asked": [*asked.kernel, *asked.kernel.values()], "about": [*asked.modules.items()]}


def _same(value: Mapping[str, Any], answers: Answers, modules: Modules) -> bool:
    asked: Sequence[Any] = value["asked"]
    half = len(asked) // 2
    for number in range(half):
        if answers[asked[number]] != asked[half + number]:
            return False
    return all(about_modules(modules, question) == answer for question, answer in value["about"])
