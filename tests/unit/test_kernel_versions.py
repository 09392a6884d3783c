# SPDX-License-Identifier: GPL-2.0-only
"""docs/kernel-versions.md lists each version that the code tells kernels apart by: the same names, the same numbers."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import kbuildpy.loader.since
import kbuildpy.modpost.since
import kbuildpy.signing.since
from kbuildpy.kernel.release import Version, has_change
from tests.support.documents import ROOT

PAGE = ROOT / "docs/kernel-versions.md"
SECTIONS = {
    "## The loader": kbuildpy.loader.since,
    "## modpost": kbuildpy.modpost.since,
    "## Signatures": kbuildpy.signing.since,
}
LINES = range(5, 8)
"""Major versions of kernels: what is compared with such numbers is taken for a kernel's version."""
KNOWN_FROM = ("read: ", "assumed: ", "not read", "the oldest loader")


def rows(section: str) -> list[list[str]]:
    """The cells of the rows in a section of the page, without heads of tables."""
    text = PAGE.read_text().partition(f"\n{section}\n")[2].partition("\n## ")[0]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if line[:1] == "|"]
    return [row for row in cells if row[0] not in ("change", "file") and not row[0].startswith("---")]


def versions_in(module: ModuleType) -> dict[str, str]:
    """What a module of versions has, as the page writes it: "6.13, 6.12.117"."""
    found = {}
    for name, value in vars(module).items():
        if name.isupper() and isinstance(value, Mapping):
            found.update({f"{name}: {kind}": _written(version) for kind, version in value.items()})
        elif name.isupper():
            found[name] = _written(value)
    return found


def _written(value: Sequence[Any]) -> str:
    versions = [value] if isinstance(value[0], int) else value
    return ", ".join(".".join(map(str, version)) for version in versions)


@pytest.mark.parametrize("section", SECTIONS)
def test_each_version_has_its_row(section: str) -> None:
    listed = {row[0].strip("`"): row[1] for row in rows(section)}
    assert listed == versions_in(SECTIONS[section])


@pytest.mark.parametrize("section", SECTIONS)
def test_each_row_says_where_it_is_known_from(section: str) -> None:
    for name, _, place, known in rows(section):
        assert known.startswith(KNOWN_FROM), name
        assert place or name == "`OLDEST`", name


@pytest.mark.parametrize("section", SECTIONS)
def test_a_backport_is_to_an_older_line_than_the_change(section: str) -> None:
    for name, since in vars(SECTIONS[section]).items():
        if name.isupper() and not isinstance(since, Mapping) and not isinstance(since[0], int):
            mainline, *stable = since
            assert all(len(release) == 3 and release < mainline for release in stable), name
            assert len({release[:2] for release in stable}) == len(stable), name


def test_no_other_file_tells_kernels_apart_by_version_but_those_that_are_listed() -> None:
    listed = {row[0].strip("`"): row[1] for row in rows("## Elsewhere")}
    found: dict[str, str] = {}
    for path in sorted((ROOT / "kbuildpy").rglob("*.py")):
        name = str(path.relative_to(ROOT))
        if path.name != "since.py":
            versions = dict.fromkeys(_compared(path))
            if versions:
                found[name] = ", ".join(".".join(map(str, version)) for version in versions)
    assert found == listed


def _compared(path: Path) -> Iterator[tuple[int, ...]]:
    """Versions of kernels that a file compares with, or has constants of."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Compare):
            for value in (node.left, *node.comparators):
                yield from _version(value)
        elif isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            yield from _version(node.value)


def _version(node: ast.expr) -> Iterator[tuple[int, ...]]:
    if isinstance(node, ast.Tuple) and len(node.elts) in (2, 3):
        numbers = tuple(item.value for item in node.elts if isinstance(item, ast.Constant))
        if len(numbers) == len(node.elts) and all(type(number) is int for number in numbers) and numbers[0] in LINES:
            yield numbers  # type: ignore[misc]


@pytest.mark.parametrize(
    ("version", "has"),
    [((6, 1, 78), False), ((6, 1, 79), True), ((6, 2), True), ((6, 0, 99), False), ((6, 1), False), ((7, 3, 4), True)],
)
def test_a_stable_release_has_what_was_backported_to_its_line(version: Version, has: bool) -> None:
    assert has_change(version, ((6, 2), (6, 1, 79))) == has
