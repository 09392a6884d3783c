# SPDX-License-Identifier: GPL-2.0-only
"""The tests' own house: what a test file may import, and what its folder promises."""

from __future__ import annotations

import ast
import graphlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.documents import ROOT

TESTS = ROOT / "tests"
FILES = sorted(TESTS.rglob("*.py"))
HELPERS = sorted((TESTS / "support").glob("*.py"))


def imported(text: str, folder: tuple[str, ...]) -> Iterator[str]:
    """The modules that Python code in `folder` imports, also inside functions and with dots for its own folder."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = folder[: len(folder) + 1 - node.level] if node.level else ()
            module = ".".join((*above, *filter(None, [node.module])))
            yield module
            yield from (f"{module}.{alias.name}" for alias in node.names)


def imported_by(file: Path) -> Iterator[str]:
    """The modules that a file imports."""
    yield from imported(file.read_text(), file.relative_to(ROOT).parent.parts)


def public(file: Path) -> Iterator[ast.FunctionDef | ast.ClassDef]:
    """The functions and classes at the top of a file that others may use."""
    for node in ast.parse(file.read_text()).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_"):
            yield node


def names_a_test_file(module: str) -> bool:
    return module.startswith("tests.") and any(part.startswith("test_") for part in module.split("."))


def test_no_file_imports_a_test_file() -> None:
    wrong = {
        f"{file.relative_to(ROOT)}: {name}" for file in FILES for name in imported_by(file) if names_a_test_file(name)
    }
    assert not wrong, "move what both need to tests/support"


@pytest.mark.parametrize(
    "text",
    [
        "from tests.unit.test_a import b",
        "from tests.unit import test_a",
        "import tests.unit.test_a",
        "from .test_a import b",
        "from . import test_a",
        "from ..unit import test_a",
        "def f():\n    from tests.unit.test_a import b",
    ],
)
def test_finds_an_import_of_a_test_file_however_it_is_written(text: str) -> None:
    assert any(map(names_a_test_file, imported(text, ("tests", "unit"))))


def test_a_helper_imports_no_other_folder_of_tests() -> None:
    found = {f"{file.name}: {name}" for file in HELPERS for name in imported_by(file) if name.startswith("tests.")}
    assert {line for line in found if ": tests.support" not in line} == set()
    assert "modposts.py: tests.support.packages" in found


def test_a_helper_has_a_docstring() -> None:
    assert [file.name for file in HELPERS if not ast.get_docstring(ast.parse(file.read_text()))] == []
    without = {f"{file.name}: {node.name}" for file in HELPERS for node in public(file) if not ast.get_docstring(node)}
    assert without == set()


def test_the_map_of_the_helpers_has_each_of_them() -> None:
    text = (TESTS / "support/__init__.py").read_text()
    assert [file.stem for file in HELPERS if file.stem != "__init__" and f"`{file.stem}`" not in text] == []


def test_the_unit_tests_need_neither_a_kernel_tree_nor_a_kernel() -> None:
    needs = ("pytest.mark.parity", "pytest.mark.vm")
    marked = {
        file.name: ast.unparse(node)
        for file in (TESTS / "unit").glob("test_*.py")
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.Attribute) and ast.unparse(node) in needs
    }
    assert marked == {}


def test_no_modules_of_the_program_import_each_other_in_a_circle() -> None:
    files = {module_name(file): file for file in sorted((ROOT / "kbuildpy").rglob("*.py"))}
    # (an import inside a function counts: it is there for speed, not to hide a circle)
    needs = {name: set(imported_by(file)) & files.keys() - {name, *packages_of(name)} for name, file in files.items()}
    assert sum(map(len, needs.values())) > len(files)
    try:
        graphlib.TopologicalSorter(needs).prepare()
    except graphlib.CycleError as error:
        raise AssertionError(f"a circle: {' -> '.join(error.args[1])}") from error


def module_name(file: Path) -> str:
    return ".".join(file.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def packages_of(name: str) -> list[str]:
    """The packages that a module is in."""
    parts = name.split(".")
    return [".".join(parts[:count]) for count in range(1, len(parts))]


def test_no_two_classes_of_the_program_have_one_name() -> None:
    places: dict[str, list[str]] = {}
    for file in sorted((ROOT / "kbuildpy").rglob("*.py")):
        for node in public(file):
            if isinstance(node, ast.ClassDef):
                places.setdefault(node.name, []).append(module_name(file))
    assert len(places) > 100
    assert {name: found for name, found in places.items() if len(found) > 1} == {}
