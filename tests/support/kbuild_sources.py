# SPDX-License-Identifier: GPL-2.0-only
"""Small module sets for the tests of Kbuild's language: sources as a dictionary of texts, built by both."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from kbuildpy.kernel.tree import KernelTree
from tests.support.builds import Build, assert_equal, assert_refused_alike, build_both

WRITTEN_FOR = (6, 12)

# From a file's name to its text; a text that begins with `#!` becomes a program.
Sources = Mapping[str, str]

_PLAIN = """\
#define SAY(name, text) static const char name[] __attribute__((used, section(".modinfo"))) = text
#define AS_TEXT(word) AS_TEXT_(word)
#define AS_TEXT_(word) #word
"""


def module(body: str = "", *, header: str = "") -> str:
    """The source of a module with `body` in it; without a kernel header it compiles in a tenth of the time."""
    include = f"#include <{header}>\n" if header else ""
    return f'{include}{_PLAIN}{body}\nSAY(license, "license=GPL");\n'


def exporting(body: str = "") -> str:
    """The source of a module that exports something."""
    return module(body, header="linux/export.h")


def says(*names: str) -> str:
    """Code for a module whose bytes tell what the macros `names` are; a macro that is not there is an error."""
    lines = [f"#ifndef {name}\n#error {name} is not defined\n#endif" for name in names]
    return "\n".join([*lines, *(f'SAY(say_{name}, "{name}=" AS_TEXT({name}));' for name in names), ""])


def uses(*symbols: str, attribute: str = "") -> str:
    """Code that calls the functions `symbols` of the kernel or of other modules."""
    lines = [f"extern int {symbol}(void){attribute};" for symbol in symbols]
    calls = " + ".join(f"{symbol}()" for symbol in symbols)
    return "\n".join(lines) + f"\nint use_it_{symbols[0]}(void);\nint use_it_{symbols[0]}(void) {{ return {calls}; }}\n"


def write_sources(sources: Sources, place: Path) -> None:
    """Lay `sources` out below `place`."""
    for name, text in sources.items():
        path = place / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        if text.startswith("#!"):
            path.chmod(0o755)


def both(
    tree: KernelTree, place: Path, sources: Sources, *variables: str, steps: Sequence[tuple[str, Sequence[str]]] = ()
) -> list[tuple[Build, Build]]:
    """What make and kbuildpy make of `sources` at `place`."""
    return build_both(tree, lambda folder: write_sources(sources, folder), place, steps=steps or [("", variables)])


def assert_same(tree: KernelTree, place: Path, sources: Sources, *variables: str) -> Build:
    """Both build `sources` and make the same bytes; kbuildpy's build."""
    [(oracle, ours)] = both(tree, place, sources, *variables)
    assert_equal_or_refused(tree, oracle, ours)
    return ours


def assert_equal_or_refused(tree: KernelTree, oracle: Build, ours: Build) -> None:
    """Both made the same; a kernel that is newer than what the test was written for may refuse it, then both do."""
    if tree.version > WRITTEN_FOR and oracle.status != 0:
        assert_refused_alike(oracle, ours)
        pytest.skip(f"make does not build this for {tree.release} either")
    assert_equal(oracle, ours)
