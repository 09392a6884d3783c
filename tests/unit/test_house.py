# SPDX-License-Identifier: GPL-2.0-only
"""The tests' own house: what a test file may import, and what its folder promises."""

from __future__ import annotations

import ast
import functools
import graphlib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from kbuildpy.cli import COMMANDS
from tests.support.documents import ROOT

TESTS = ROOT / "tests"
FILES = sorted(TESTS.rglob("*.py"))
HELPERS = sorted((TESTS / "support").glob("*.py"))
PROGRAM = sorted((ROOT / "kbuildpy").rglob("*.py"))


class Gates(NamedTuple):
    """Imports inside functions (decision 16): they keep a slow part from calls that need nothing of it."""

    part: str
    """The slow part: a package, or a file or a room of the program."""
    spared: str
    """The calls that do without."""
    names: tuple[str, ...]
    """What a function may import therefore: the package itself, or a file of the program that leads there."""


GATES = (
    Gates(
        "cryptography",
        "--help, modules without a signature, a build with nothing to do",
        (
            "kbuildpy.cli.make_key",
            "kbuildpy.cli.package_modules",
            "kbuildpy.cli.sign_modules",
            "kbuildpy.cli.verify_modules",
            "kbuildpy.cli.which_judge",
            "kbuildpy.dkms.make_machine_key",
            "kbuildpy.info.signature",
            "kbuildpy.loader.kernels.enroll",
            "kbuildpy.loader.kernels.keyrings",
            "kbuildpy.proof.seal",
            "kbuildpy.shared.entry_key",
            "kbuildpy.signing.open_signer",
            "kbuildpy.signing.signer",
            "kbuildpy.signing.verify",
        ),
    ),
    Gates("pkcs11", "keys in files (and it may not be installed)", ("kbuildpy.signing.pkcs11",)),
    Gates("distributed", "a matrix on this machine (and it may not be installed)", ("kbuildpy.fleet.dask",)),
    Gates("fsspec", "a shared cache in a directory (and it may not be installed)", ("kbuildpy.shared.fsspec_store",)),
    Gates("redis", "a shared cache elsewhere (and it may not be installed)", ("kbuildpy.shared.redis_store",)),
    Gates(
        "SCons",
        "--help, a finished build",
        (
            "kbuildpy.scons.begin_tool",
            "kbuildpy.scons.run_standalone",
        ),
    ),
    Gates(
        "jinja2",
        "--help, new --list, a build with nothing to do",
        (
            "jinja2",
            "kbuildpy.scaffold.create",
            "kbuildpy.scaffold.init_files",
            "kbuildpy.scons.call_modpost",
        ),
    ),
    Gates(
        "elftools",
        "every call but those that read a vmlinux of a self-built kernel",
        ("elftools.common.exceptions", "elftools.elf.elffile"),
    ),
    Gates("tqdm", "few modules, output that is no terminal", ("tqdm",)),
    Gates("concurrent", "a single module", ("concurrent.futures", "kbuildpy.process_pool")),
    Gates("xml", "every format but JUnit", ("kbuildpy.loader.reports.junit", "kbuildpy.vm.junit")),
    Gates("kbuildpy.page", "every format but HTML", ("kbuildpy.loader.reports.page",)),
    Gates("kbuildpy.timeline", "a build without a trace", ("kbuildpy.scons.trace_build", "kbuildpy.timeline.write")),
    Gates("kbuildpy.graph", "graph --help", ("kbuildpy.cli.graph_output",)),
    Gates("argparse", "the compilers that a build starts before all else", ("kbuildpy.cli",)),
    Gates("hashlib", "the compilers that a build starts before all else", ("hashlib",)),
    Gates("shutil", "the compilers that a build starts before all else", ("shutil",)),
    Gates("kbuildpy.kbuild.early_compilers", "every command but build", ("kbuildpy.kbuild.repeated_call",)),
    Gates("difflib", "names without a mistake", ("difflib",)),
    Gates("tempfile", "a home directory with a cache", ("tempfile",)),
    Gates("ctypes", "a build with nothing to do", ("kbuildpy.kbuild.libc",)),
    Gates(
        "kbuildpy.loader.load_info",
        "info -F, a build with nothing to do",
        ("kbuildpy.cli.info_reports", "kbuildpy.scons.post_build_check"),
    ),
    Gates("kbuildpy.loader.kernels", "info -F", ("kbuildpy.loader.kernels.from_chosen",)),
    Gates("kbuildpy.loader.lifecycle", "check without --script", ("kbuildpy.cli.check_script",)),
    Gates(
        "kbuildpy.loader.btf",
        "modules without type information, kernels with a tree",
        (
            "kbuildpy.loader.kernels.from_image",
            "kbuildpy.loader.kernels.own_types",
            "kbuildpy.loader.stages.btf",
            "kbuildpy.loader.stages.struct_module",
        ),
    ),
    Gates(
        "kbuildpy.kbuild.make_output",
        "what is remembered of a kernel tree and of a directory",
        (
            "kbuildpy.kbuild.ask_install",
            "kbuildpy.kbuild.make_plan",
            "kbuildpy.kbuild.make_tree_answer",
            "kbuildpy.kbuild.probe_tree",
        ),
    ),
    Gates("kbuildpy.kbuild.plan", "a finished build", ("kbuildpy.kbuild.answered_alike",)),
    Gates("kbuildpy.vm", "a build with nothing to do", ("kbuildpy.scons.run_in_kernel",)),
    Gates("kbuildpy.origins", "a build without V=2", ("kbuildpy.scons.group_reasons",)),
    Gates("kbuildpy.probes", "a directory without probes", ("kbuildpy.scons.probed",)),
    Gates(
        "kbuildpy.advice",
        "a build without an error",
        (
            "kbuildpy.advice.objtool",
            "kbuildpy.scons.advise_compile",
            "kbuildpy.scons.advise_modpost",
            "kbuildpy.scons.module_sources",
            "kbuildpy.scons.tell_advice",
        ),
    ),
    Gates(
        "kbuildpy.lint",
        "a build in which nothing is linted",
        (
            "kbuildpy.lint.choose",
            "kbuildpy.lint.finding",
            "kbuildpy.lint.lint_objects",
            "kbuildpy.lint.printer",
            "kbuildpy.lint.sarif",
            "kbuildpy.lint.subjects",
        ),
    ),
    Gates(
        "kbuildpy.coverage",
        "a build and a run without instruments",
        ("kbuildpy.cli.run_instrumented", "kbuildpy.scons.instruments", "kbuildpy.scons.run_covered"),
    ),
    Gates(
        "kbuildpy.kernel_build",
        "a run in a kernel that is there",
        ("kbuildpy.cli.run_with", "kbuildpy.scons.small_kernel"),
    ),
    Gates("kbuildpy.dkms", "a build of a directory without a dkms.conf", ("kbuildpy.cli.build_dkms",)),
    Gates(
        "kbuildpy.package",
        "a build without packages",
        tuple(f"kbuildpy.package.{name}" for name in ("admit", "collect", "format", "formats", "module_package"))
        + tuple(f"kbuildpy.package.{name}" for name in ("package_names", "sysext", "write_package")),
    ),
    Gates("kbuildpy.report", "commands that do not fail", ("kbuildpy.report.last_failure",)),
    Gates("kbuildpy.scaffold", "a directory with modules", ("kbuildpy.scaffold.no_modules",)),
)


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


def imported_in_functions(text: str) -> Iterator[str]:
    """The modules that functions of Python code import. Of `from package import name` it is `package.name` where that
    is a file of the program."""
    inside = {
        node
        for function in ast.walk(ast.parse(text))
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        for node in ast.walk(function)
        if isinstance(node, ast.Import | ast.ImportFrom)
    }
    for node in inside:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        else:
            files = [f"{node.module}.{alias.name}" for alias in node.names]
            yield from (name if name in PROGRAM_NAMES else node.module or "" for name in files)


def imported_at_the_top(name: str) -> set[str]:
    """All modules that are imported when the program's module `name` is, as far as the program's own code says so."""
    found: set[str] = set()
    rest = [name]
    while rest:
        module = rest.pop()
        found.add(module)
        rest += _imported_at_the_top(module) - found
    return found


@functools.cache
def _imported_at_the_top(name: str) -> set[str]:
    if name not in PROGRAM_NAMES:
        return set()
    tree = ast.parse(PROGRAM_NAMES[name].read_text())
    run = ast.unparse(WithoutBodies().visit(tree))
    return {*imported(run, PROGRAM_NAMES[name].relative_to(ROOT).parent.parts), *packages_of(name)}


class WithoutBodies(ast.NodeTransformer):
    """Removes what is not run when a file is imported: bodies of functions, and imports for annotations."""

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        node.body = [ast.Pass()]
        return node

    def visit_If(self, node: ast.If) -> ast.AST:
        return ast.Pass() if ast.unparse(node.test) == "TYPE_CHECKING" else node


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
    # (an import inside a function counts: it is there for speed, not to hide a circle)
    needs = {
        name: set(imported_by(file)) & PROGRAM_NAMES.keys() - {name, *packages_of(name)}
        for name, file in PROGRAM_NAMES.items()
    }
    assert sum(map(len, needs.values())) > len(PROGRAM_NAMES)
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


PROGRAM_NAMES = {module_name(file): file for file in PROGRAM}


def test_functions_import_only_what_has_a_gate() -> None:
    gates = {name for gate in GATES for name in gate.names}
    found = {name: [*imported_in_functions(file.read_text())] for name, file in PROGRAM_NAMES.items()}
    without = {name: others for name, names in found.items() if (others := {*names} - gates)}
    assert without == {}, "import it at the top, or, if that makes a common call slow, add it to GATES"
    assert gates == {other for names in found.values() for other in names}, "there are gates that nothing passes"


def test_tests_import_at_the_top() -> None:
    assert {file.name: names for file in FILES if (names := [*imported_in_functions(file.read_text())])} == {}


@pytest.mark.parametrize("gate", GATES, ids=lambda gate: gate.part)
def test_a_gate_leads_to_its_slow_part(gate: Gates) -> None:
    for name in gate.names:
        assert any(found == gate.part or found.startswith(f"{gate.part}.") for found in imported_at_the_top(name)), name


def test_no_command_imports_a_slow_package_before_it_is_run() -> None:
    quick = {"argparse", "ctypes", "difflib", "hashlib", "shutil", "tempfile"}
    slow = {gate.part for gate in GATES if not gate.part.startswith("kbuildpy.")} - quick
    assert {"cryptography", "SCons", "jinja2", "tqdm"} <= slow
    for name in ("kbuildpy.__main__", *(f"kbuildpy.cli.{command}" for command in COMMANDS)):
        assert {found for found in imported_at_the_top(name) if found.partition(".")[0] in slow} == set(), name


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("def f():\n    import jinja2", ["jinja2"]),
        ("async def f():\n    if x:\n        from kbuildpy.files import replacing", ["kbuildpy.files"]),
        ("class A:\n    def f(self):\n        from kbuildpy import files, __version__", ["kbuildpy.files", "kbuildpy"]),
        ("import json\nif x:\n    import os\ndef f():\n    return json", []),
    ],
)
def test_finds_an_import_in_a_function_however_it_is_written(text: str, names: list[str]) -> None:
    assert sorted(imported_in_functions(text)) == sorted(names)


def test_no_two_classes_of_the_program_have_one_name() -> None:
    places: dict[str, list[str]] = {}
    for file in PROGRAM:
        for node in public(file):
            if isinstance(node, ast.ClassDef):
                places.setdefault(node.name, []).append(module_name(file))
    assert len(places) > 100
    assert {name: found for name, found in places.items() if len(found) > 1} == {}
