# SPDX-License-Identifier: GPL-2.0-only
"""Puts many probes into one C source, each in a function of its own.

Before each probe and after the last one stands a mark: a false assertion, which the compiler must report. A probe
counts as answered only when the marks around it were reported: then the compiler was in step before it, and read on
behind it. `#line` names every part, so that a message says which part it is about.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from kbuildpy.probes.probe import Probe, member_parts

FIRST_INCLUDE = "linux/module.h"
"""What every probe includes: the control at the beginning needs it."""
MARK = "kbuildpy_mark_"
"""What a mark asserts, before its number."""
MACRO = "kbuildpy_macro"
"""What is asserted of a name that should be unknown, and is a macro."""
_IS_MACRO = "kbuildpy_is_macro_"
PREFIX = "kbuildpy-"
"""How the names of parts begin: `kbuildpy-headers`, `kbuildpy-control`, `kbuildpy-unknown-K`, `kbuildpy-mark-K`,
`kbuildpy-outside-K`, `kbuildpy-probe-K`, `kbuildpy-end-K`."""
NO_HEADER = "kbuildpy: no header "
"""What the #error says for a header that is not there."""


def translation_unit(
    probes: Sequence[Probe],
    includes: Sequence[str],
    *,
    apart: Sequence[frozenset[str]] = (),
    unknown: Sequence[str] = (),
    marks: bool = True,
) -> str:
    """A C source with `probes`, which include `includes`.

    `apart` has for each probe the names that are spelled differently in it (`name_apart`). `unknown` are names that the
    headers should not declare: each gets an error if that is so (`kbuildpy-unknown-K`), another one if it is a macro of
    theirs, and none if they declare it. A macro keeps its name in all probes. Without `marks` the source has no errors
    of its own, so that code can be generated.
    """
    parts = [f'#line 1 "{PREFIX}headers"', *(_include(name) for name in includes)]
    parts += [f'#line 1 "{PREFIX}control"', _CONTROL]
    for name in sorted(frozenset[str]().union(*apart)):
        parts.append(f"#ifdef {name}\n#define {_IS_MACRO}{name}\n#endif")
    for number, name in enumerate(unknown):
        parts.append(
            f'#line 1 "{PREFIX}unknown-{number}"\n#ifdef {name}\n_Static_assert(0, "{MACRO}");\n#else\n'
            f"static void __attribute__((unused)) kbuildpy_unknown_{number}(void) {{ (void){name}; }}\n#endif"
        )
    for number, probe in enumerate(probes):
        names = sorted(apart[number]) if apart else []
        parts += [
            *([_mark(number)] if marks else []),
            *(f"#ifndef {_IS_MACRO}{name}\n#define {name} {name_apart(name, number)}\n#endif" for name in names),
        ]
        if probe.outside:
            parts += [f'#line 1 "{PREFIX}outside-{number}"', probe.outside]
        parts += [
            f'#line 1 "{PREFIX}probe-{number}"',
            f"static int __attribute__((used)) kbuildpy_probe_{number}(void) {{",
            f'#line 1 "{PREFIX}probe-{number}"',
            _body(probe),
            f'#line 1 "{PREFIX}end-{number}"\n; return 0; }}',
            *(f"#ifndef {_IS_MACRO}{name}\n#undef {name}\n#endif" for name in names),
        ]
    return "\n".join([*parts, *([_mark(len(probes))] if marks else []), ""])


def name_apart(name: str, number: int) -> str:
    """How `name` is spelled in probe `number` where it is kept apart from other probes' names."""
    return f"{name}__kbuildpy{number}"


def includes_of(probes: Iterable[Probe]) -> tuple[str, ...]:
    """The headers of all `probes`, each once, in their order; one that a probe needs is not optional."""
    needed = [name for probe in probes for name in (FIRST_INCLUDE, *probe.includes)]
    found = dict.fromkeys(name.removesuffix("?") for name in needed)
    return tuple(name if name in needed else f"{name}?" for name in found)


def _mark(number: int) -> str:
    # (for an undeclared name the compiler would search all names for a similar one)
    return f'#line 1 "{PREFIX}mark-{number}"\n_Static_assert(0, "{MARK}{number}");'


def _include(name: str) -> str:
    header = name.removesuffix("?")
    missing = "" if name.endswith("?") else f"\n#else\n#error {NO_HEADER}{header}"
    return f"#if __has_include(<{header}>)\n#include <{header}>{missing}\n#endif"


def _body(probe: Probe) -> str:
    """The statements that compile if the answer is yes."""
    text = probe.text
    if probe.kind == "header":
        return f"#if !__has_include(<{text}>)\n#error no such header\n#endif"
    if probe.kind == "type":
        return f"(void)sizeof(struct {{ {text} kbuildpy_member; }})"
    if probe.kind == "member":
        kind, member = member_parts(probe)
        return f"(void)(({kind} *)0)->{member}"
    if probe.kind == "declared":
        return f"#ifndef {text}\n(void){text};\n#endif"
    return text


_CONTROL = """\
static unsigned long __attribute__((unused)) kbuildpy_control(struct module *module)
{
	return sizeof(*module) + (unsigned long)module->name;
}"""
