# SPDX-License-Identifier: GPL-2.0-only
"""Verdicts as SARIF 2.1.0, for code scanning services (docs.oasis-open.org/sarif/sarif/v2.1.0)."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import quote

from kbuildpy import __version__
from kbuildpy.loader.verdict import Exclusion, Verdict

_SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"


def as_sarif(verdicts: Sequence[Verdict]) -> str:
    """Return the JSON of a SARIF log with one run.

    Refusals and unreadable files are results of level "error". Warnings in the log of an accepted module, and modules
    that exclude each other, have level "warning". Checks that were not made have level "note".
    """
    refused = [verdict for verdict in verdicts if not verdict.accepted]
    rules = sorted({_rule(verdict) for verdict in refused} | {"exclusion", "unchecked", "warning"})
    results = [_refusal(verdict) for verdict in refused]
    results += [_warning(verdict, line) for verdict in verdicts for line in verdict.warnings]
    results += [_exclusion(verdict, item) for verdict in verdicts for item in verdict.excludes]
    results += [_note(verdict, item.sentence) for verdict in verdicts for item in verdict.unchecked]
    driver = {
        "name": "kbuildpy check",
        "version": __version__,
        "rules": [{"id": rule, "shortDescription": {"text": _description(rule)}} for rule in rules],
    }
    return json.dumps(
        {"$schema": _SCHEMA, "version": "2.1.0", "runs": [{"tool": {"driver": driver}, "results": results}]}, indent=2
    )


def _refusal(verdict: Verdict) -> dict[str, object]:
    if verdict.errno:
        text = f"{verdict.kernel} refuses it with {verdict.errno}"
    else:
        text = f"{verdict.kernel} may crash" if verdict.readable else "The file cannot be read"
    text += f": {verdict.reason}."
    if verdict.log:
        text += f" The kernel's log: {verdict.log}"
    if verdict.hint:
        text += f" To do: {verdict.hint}"
    properties = {"kernel": verdict.kernel, "errno": verdict.errno, "log": verdict.log}
    return {"ruleId": _rule(verdict), "level": "error", **_where(verdict, text), "properties": properties}


def _rule(verdict: Verdict) -> str:
    return verdict.stage or "unknown" if verdict.readable else "unreadable"


def _warning(verdict: Verdict, line: str) -> dict[str, object]:
    text = f"{verdict.kernel} accepts it and warns: {line}"
    properties = {"kernel": verdict.kernel, "log": line}
    return {"ruleId": "warning", "level": "warning", **_where(verdict, text), "properties": properties}


def _exclusion(verdict: Verdict, item: Exclusion) -> dict[str, object]:
    text = f"{verdict.kernel} does not load {item.file} while it is loaded: both export {item.symbol}"
    properties = {"kernel": verdict.kernel, "errno": "ENOEXEC", "log": item.log}
    return {"ruleId": "exclusion", "level": "warning", **_where(verdict, text), "properties": properties}


def _note(verdict: Verdict, sentence: str) -> dict[str, object]:
    text = f"Not checked for {verdict.kernel}: {sentence}"
    return {"ruleId": "unchecked", "level": "note", **_where(verdict, text), "properties": {"kernel": verdict.kernel}}


def _where(verdict: Verdict, text: str) -> dict[str, object]:
    path = Path(verdict.file)
    uri = path.as_uri() if path.is_absolute() else quote(verdict.file.encode("utf-8", "surrogateescape"))
    return {
        "message": {"text": text.encode("utf-8", "replace").decode()},
        "locations": [{"physicalLocation": {"artifactLocation": {"uri": uri}}}],
    }


def _description(rule: str) -> str:
    special = {
        "exclusion": "Another module that cannot be loaded beside one, because both export a symbol",
        "unchecked": "A check that could not be made",
        "unreadable": "A file that could not be read",
        "warning": "A warning in the kernel's log about a module that it accepts",
    }
    return special.get(rule) or f"Stage {rule} of the kernel's load_module()"
