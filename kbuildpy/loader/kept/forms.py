# SPDX-License-Identifier: GPL-2.0-only
"""A verdict, and the module as it is loaded, as values of JSON.

The path of the file and the release of the kernel are left out. The places of sections are, too: verdicts that end
after the layout share them.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import fields
from typing import Any

from kbuildpy.loader.facts import Fact, Unchecked
from kbuildpy.loader.kept.watch import RELEASE, Unwatched
from kbuildpy.loader.load_module import STAGE_LISTS
from kbuildpy.loader.loaded import Loaded, ModuleExport
from kbuildpy.loader.verdict import Placed, Verdict

Json = dict[str, Any]

_SHORT = Verdict(file="", kernel=RELEASE, name="", accepted=False)
_APART = frozenset({"file", "kernel", "sections", "memory", "unchecked", "excludes", "readable", "stages"})
_PLAIN = tuple(field.name for field in fields(Verdict) if field.name not in _APART)
_TUPLES = ("requires", "lines", "warnings", "exports")
_LOADED = tuple(field.name for field in fields(Loaded))


class Places:
    """The places of sections, and the sizes of memory."""

    def __init__(self, value: Any) -> None:
        rows, sizes = value
        self.sections = tuple(Placed(*row) for row in rows)
        self.sizes: dict[str, int] = dict(sizes)


def places_to_json(verdict: Verdict) -> Any:
    """Return what `Places` takes."""
    return [verdict.sections, verdict.memory]


def verdict_to_json(verdict: Verdict) -> Json:
    """Return `verdict`, which was made with a watched kernel, as JSON. Raises `Unwatched` if it names the release
    anywhere but in its hint."""
    value: Json = {name: getattr(verdict, name) for name in _PLAIN}
    value = {name: item for name, item in value.items() if item != getattr(_SHORT, name)}
    value["unchecked"] = unchecked_to_json(verdict.unchecked)
    value["stages"] = STAGE_LISTS.index(verdict.stages)
    named = json.dumps([item for name, item in value.items() if name != "hint"])
    if json.dumps(RELEASE)[1:-1] in named or verdict.excludes:
        raise Unwatched("the release")
    return value


def verdict_from_json(value: Json, places: Places, *, file: str, kernel: str) -> Verdict:
    """Return the verdict on `file` by the release `kernel`. Raises KeyError, IndexError, TypeError or ValueError for a
    value that `verdict_to_json` did not return."""
    found = {name: value[name] for name in _PLAIN if name in value}
    for name in _TUPLES:
        if name in found:
            found[name] = tuple(found[name])
    if found.get("hint"):
        found["hint"] = found["hint"].replace(RELEASE, kernel)
    return Verdict(
        file=file,
        kernel=kernel,
        sections=places.sections,
        memory=places.sizes,
        unchecked=unchecked_from_json(value["unchecked"]),
        stages=STAGE_LISTS[value["stages"]],
        **{"accepted": False, "name": "", **found},
    )


def unchecked_to_json(unchecked: Iterable[Unchecked]) -> Any:
    """Return checks that were not made as JSON."""
    return [[item.check, item.fact and item.fact.name, item.reason] for item in unchecked]


def unchecked_from_json(value: Any) -> tuple[Unchecked, ...]:
    """Return the checks of `unchecked_to_json`. Raises as `verdict_from_json`."""
    return tuple(Unchecked(check, None if fact is None else Fact[fact], reason) for check, fact, reason in value)


def loaded_to_json(loaded: Loaded | None) -> Json | None:
    """Return `loaded` as JSON."""
    return None if loaded is None else {name: getattr(loaded, name) for name in _LOADED}


def loaded_from_json(value: Json | None) -> Loaded | None:
    """Return the module of `loaded_to_json`. Raises as `verdict_from_json`."""
    if value is None:
        return None
    exports = {name: ModuleExport(*item) for name, item in value["exports"].items()}
    return Loaded(**{**value, "uses": tuple(value["uses"]), "exports": exports})
