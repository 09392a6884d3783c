# SPDX-License-Identifier: GPL-2.0-only
"""A preflight as text, and as JSON (docs/json.md)."""

from __future__ import annotations

from collections.abc import Iterator

from kbuildpy.preflight.findings import STATES, ModuleFinding, Preflight, SettingFinding


def preflight_lines(found: Preflight, *, verbose: bool) -> Iterator[str]:
    """A table of what would be lost, with reasons; `verbose` also lists what would not."""
    lost = [each for each in found.modules if each.is_lost]
    yield (
        f"{found.old} -> {found.new}: {len(found.modules)} modules looked at, {len(lost)} would be lost"
        f"{f'; {found.enforces}' if found.enforces else ''}"
    )
    shown = found.modules if verbose else lost
    width = max((len(each.name) for each in shown), default=0)
    for each in shown:
        now = "loaded" if each.loaded else ""
        yield f"  {each.name:{width}}  {each.state:11}  {now:6}  {each.reason or STATES[each.state]}".rstrip()
        if each.is_lost and each.hint:
            yield f"  {'':{width}}  {'':11}  {'':6}  to do: {each.hint}"
    for each in found.modules:
        if each.shadowed:
            others = ", ".join(each.shadowed[1:])
            yield f"  {each.name}: several files for {found.new}: modprobe takes {each.shadowed[0]}, and not {others}"
    for setting in found.settings:
        effect = "it would not be loaded" if setting.is_lost else "no effect"
        yield f"  {setting.file}:{setting.line}: {setting.text}: {found.new} has no {setting.module}: {effect}"


def module_finding_json(each: ModuleFinding, old: str, new: str) -> dict[str, object]:
    """The object of a module."""
    return {
        "module": each.name,
        "from": old,
        "to": new,
        "state": each.state,
        "lost": each.is_lost,
        "loaded": each.loaded,
        "file": each.file or None,
        "reason": each.reason or STATES[each.state],
        "hint": each.hint or None,
        "source": str(each.source.directory) if each.source else None,
        "dkms": each.source.dkms if each.source else None,
        "shadowed": list(each.shadowed),
        "symbols": list(each.symbols),
        "errno": each.verdict.errno if each.verdict else None,
        "unchecked": [item.sentence for item in each.verdict.unchecked] if each.verdict else [],
    }


def setting_finding_json(each: SettingFinding, old: str, new: str) -> dict[str, object]:
    """The object of a line of settings."""
    return {
        "setting": each.text,
        "from": old,
        "to": new,
        "file": each.file,
        "line": each.line,
        "module": each.module,
        "lost": each.is_lost,
    }
