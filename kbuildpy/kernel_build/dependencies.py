# SPDX-License-Identifier: GPL-2.0-only
"""What options depend on, added to them as far as it is plain."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from kbuildpy.kernel_build.kconfig import KconfigOption, is_true, symbols_in, unmet


def with_dependencies(
    options: Mapping[str, str], kconfig: Mapping[str, KconfigOption], have: Mapping[str, str]
) -> dict[str, str]:
    """`options`, with what they depend on as far as that is plain: `depends on A && B`, not `A || B`; for one that
    cannot be set by itself, the option that selects it with the fewest conditions."""
    found = dict(options)
    waiting = list(options)
    selectors = _selectors(kconfig)
    while waiting:
        name = waiting.pop()
        option = kconfig.get(name)
        if option is None or len(found) > 200:
            continue
        if not option.has_prompt and name not in have:
            chosen = _best(selectors.get(name, ()), kconfig, {**have, **found})
            if chosen and chosen not in found:
                found[chosen] = "y"
                waiting.append(chosen)
        for condition in unmet(option, {**have, **found}):
            for symbol in symbols_in(condition):
                trial = {**have, **found, symbol: "y"}
                if symbol in kconfig and symbol not in found and is_true(condition, trial):
                    found[symbol] = "y"
                    waiting.append(symbol)
                    break
    return found


def _selectors(kconfig: Mapping[str, KconfigOption]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for option in kconfig.values():
        for selected in option.selects:
            found.setdefault(selected, []).append(option.name)
    return found


def _best(names: Sequence[str], kconfig: Mapping[str, KconfigOption], have: Mapping[str, str]) -> str:
    """The option of `names` that can be set with the fewest conditions unmet; "" for none."""
    settable = [kconfig[name] for name in names if kconfig[name].has_prompt]
    ordered = sorted(settable, key=lambda option: (len(unmet(option, have)), len(option.selects), option.name))
    return ordered[0].name if ordered else ""
