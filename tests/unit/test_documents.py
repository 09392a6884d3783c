# SPDX-License-Identifier: GPL-2.0-only
"""The documents say what is there: paths, imports between rooms, commands, builders, keys of JSON."""

from __future__ import annotations

import ast
import json
import re
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from importlib import import_module
from pathlib import Path

import pytest

from kbuildpy import __version__, cli
from kbuildpy.cli.explain_output import object_to_json
from kbuildpy.cli.explain_symbols import symbol_to_json
from kbuildpy.info.as_json import to_json
from kbuildpy.info.memory import ModuleMemory
from kbuildpy.info.report import inspect
from kbuildpy.kernel.exported_symbol import SymbolExport
from kbuildpy.kernel.tree import KernelTree
from kbuildpy.lint.finding import Finding, FindingNote
from kbuildpy.origins.explain_object import Flag
from kbuildpy.origins.origin import Origin
from kbuildpy.proof.changed_inputs import ChangedInput
from kbuildpy.proof.changed_module import SectionDifference
from kbuildpy.proof.reproduce import BuilderVerdict, Reproduction
from kbuildpy.scons import BUILDERS
from kbuildpy.vm.result import Result, TestResult
from kbuildpy.which.answer import ModuleAnswer, answer_json
from tests.support.console_blocks import console_steps
from tests.support.documents import (
    DOCUMENTS,
    ROOT,
    fenced_blocks,
    json_keys,
    linked_paths,
    named_paths,
    shell_lines,
    table_rows,
)
from tests.support.elf_objects import elf_object

ARCHITECTURE = ROOT / "docs/architecture.md"
by_document = pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))


@by_document
def test_names_paths_that_exist(document: Path) -> None:
    missing = {path for path in named_paths(document) if not (ROOT / path).exists()}
    assert not missing, f"{document.name} names files that are not there (renamed?)"


@by_document
def test_links_to_files_that_exist(document: Path) -> None:
    assert {link for link in linked_paths(document) if not (document.parent / link).exists()} == set()


def test_finds_the_paths_of_the_architecture() -> None:
    assert "kbuildpy/run.py" in named_paths(ARCHITECTURE)
    assert len(named_paths(ARCHITECTURE)) > 40


def test_the_readme_has_at_most_80_lines() -> None:
    assert len((ROOT / "README.md").read_text().splitlines()) <= 80


def test_the_readme_names_the_command_that_continuous_integration_runs() -> None:
    [command] = re.findall(r'^exec (\./run \w+) "\$@"$', (ROOT / ".ci/run").read_text(), re.MULTILINE)
    assert command in shell_lines(ROOT / "README.md")


# --- Rooms


def rooms() -> dict[str, set[str]]:
    """Each room with those that it may import from, by the table of the architecture."""
    rows = {row[0].strip("`/"): row[1] for row in table_rows(ARCHITECTURE, "### Imports")}
    found = {}
    for room, text in rows.items():
        named = set(re.findall(r"`(\w+)/`", text))
        found[room] = rows.keys() - named if text.startswith("every room") else named
    return found


def imported(file: Path) -> Iterator[str]:
    """The modules of kbuildpy that a file imports, also inside functions and for annotations."""
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            # import_module("kbuildpy.elf.image")
            yield node.value


def test_the_architecture_has_every_room() -> None:
    assert rooms().keys() == {path.parent.name for path in (ROOT / "kbuildpy").glob("*/__init__.py")}


@pytest.mark.parametrize("room", rooms())
def test_a_room_imports_only_what_the_architecture_allows(room: str) -> None:
    allowed = rooms()[room] | {room}
    wrong = {
        f"{file.relative_to(ROOT)}: {name}"
        for file in (ROOT / "kbuildpy" / room).rglob("*.py")
        for name in imported(file)
        if (found := re.match(r"kbuildpy\.(\w+)", name)) and found[1] in rooms().keys() - allowed
    }
    assert not wrong


def test_the_rooms_below_import_something_at_all() -> None:
    """(else the test above would pass for a table that is read wrongly)"""
    assert rooms()["loader"] == {"elf", "kernel", "signing"}
    assert rooms()["scons"] == rooms().keys() - {"cli"}
    assert "kbuildpy.signing.trailer" in set(imported(ROOT / "kbuildpy/loader/stages/signature_check.py"))


# --- Commands and builders


def commands(document: Path) -> list[list[str]]:
    """The calls of kbuildpy in a document, with words for what stands in brackets."""
    shown = [re.split(r" (?:&&|\|) |\s+#", command)[0] for command, _ in console_steps(document)]
    lines = [line for line in (*shell_lines(document), *shown) if line.startswith("kbuildpy ")]
    return [shlex.split(re.sub(r"[][]|\.\.\.(?= |$)", "", line))[1:] for line in lines]


@by_document
def test_commands_have_options_that_exist(document: Path) -> None:
    for words in commands(document):
        # (what is wrong ends the process)
        cli._parse(words)


def test_the_readme_has_every_command() -> None:
    assert {words[0] for words in commands(ROOT / "README.md")} == cli.COMMANDS.keys()


def calls(document: Path) -> Iterator[ast.Call]:
    """The calls of a method in the Python code of a document."""
    for block in fenced_blocks(document, "python"):
        for node in ast.walk(ast.parse(block)):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                yield node


@by_document
def test_builders_have_keywords_that_exist(document: Path) -> None:
    for call in calls(document):
        assert isinstance(call.func, ast.Attribute)
        file, function = BUILDERS[call.func.attr]
        known = getattr(import_module(f"kbuildpy.scons.{file}"), function).__kwdefaults__
        # (in upper case: flags of SCons' and variables for Kbuild)
        given = {keyword.arg for keyword in call.keywords if keyword.arg and keyword.arg != keyword.arg.upper()}
        assert given <= known.keys(), call.func.attr


def test_the_documents_show_every_builder() -> None:
    shown = {
        call.func.attr for document in DOCUMENTS for call in calls(document) if isinstance(call.func, ast.Attribute)
    }
    assert shown == BUILDERS.keys()
    assert all(f"env.{name}(" in ARCHITECTURE.read_text() for name in BUILDERS)


def test_foreign_headers_are_unpacked_into_a_system_whose_lib_is_a_link(tmp_path: Path) -> None:
    if not shutil.which("dpkg-deb"):
        pytest.skip("dpkg-deb is Debian's")
    root, package = tmp_path / "root", tmp_path / "package"
    (root / "usr/lib").mkdir(parents=True)
    (root / "lib").symlink_to("usr/lib")
    # As Debian 12's headers: they still have files below /lib.
    (package / "lib/modules/RELEASE").mkdir(parents=True)
    (package / "lib/modules/RELEASE/build").symlink_to("/usr/src/linux-headers-RELEASE")
    (package / "DEBIAN").mkdir()
    (package / "DEBIAN/control").write_text(
        "Package: headers\nVersion: 1\nArchitecture: all\nMaintainer: Nobody <nobody@example.org>\nDescription: none\n"
    )
    subprocess.run(["dpkg-deb", "-b", package, tmp_path / "PACKAGE.deb"], check=True, capture_output=True)
    [command] = [line for line in shell_lines(ROOT / "docs/build.md") if line.startswith("dpkg-deb ")]
    subprocess.run(["sh", "-c", f"{command.removesuffix('/')}{root}"], cwd=tmp_path, check=True)
    assert (root / "lib").is_symlink()
    assert (root / "usr/lib/modules/RELEASE/build").is_symlink()


# --- JSON


def test_explains_each_key_of_run() -> None:
    test = TestResult("a", "program", passed=True).to_json()
    assert json_keys("kbuildpy run") == Result("a.ko", "6.1", "a").to_json().keys() | test.keys()


def test_explains_each_key_of_sign_and_verify_and_of_manifests(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("a.ko").write_bytes(b"\x7fELF" + bytes(200))
    Path("cut.ko.xz").write_bytes(b"\xfd7zXZ\0\0\4")

    def printed(*words: str) -> dict[str, object]:
        capsys.readouterr()
        cli.main([*words, "--format", "json"])
        found: dict[str, object] = json.loads(capsys.readouterr().out)
        return found

    assert cli.main(["keygen", "-q", "-a", "p-256", "key.pem"]) == 0
    signing = ("--key", "key.pem", "--cert", "key.crt", "--hash", "sha256", "--manifest", "signed.json")
    assert printed("sign", "a.ko", *signing).keys() == json_keys("kbuildpy sign")
    trusted, unreadable = (printed("verify", name, "--cert", "key.crt") for name in ("a.ko", "cut.ko.xz"))
    assert trusted["trusted"]
    assert trusted.keys() | unreadable.keys() == json_keys("kbuildpy verify")
    entry = json.loads(Path("signed.json").read_text())
    assert entry.keys() == json_keys("Manifests of sign and install")


def test_explains_each_key_of_reproduce() -> None:
    verdict = BuilderVerdict("make", False, None, None, (SectionDifference(".text", "differs", ("f",)),))
    found = Reproduction("a.ko", "6.1", True, True, "", (ChangedInput("flag", "a.o", None, "-g"),), (verdict,))
    value = found.to_json("a.json")
    nested = [value["builders"][0], value["builders"][0]["differs"][0], value["inputs"][0]]
    assert json_keys("kbuildpy reproduce") == {key for item in (value, *nested) for key in item}


def test_explains_each_key_of_explain() -> None:
    flag = Flag("-g", Origin("environment", (), "KCFLAGS"))
    tree = KernelTree(Path("/objects"), Path("/source"), "6.1")
    found = object_to_json("a.o", "a.c", tree, [flag])
    assert json_keys("kbuildpy explain") == found.keys() | found["flags"][0].keys()


def test_explains_each_key_of_lint() -> None:
    note = FindingNote("a.h", 1, 2, "there")
    found = Finding("sparse", "a.c", 1, 2, "warning", "odd", "", notes=(note,)).to_json("6.1", str)
    assert isinstance(found["notes"], list)
    assert json_keys("kbuildpy lint") == found.keys() | found["notes"][0].keys()


def test_explains_each_key_of_symbols() -> None:
    assert json_keys("kbuildpy explain --symbol") == symbol_to_json(SymbolExport("a", "6.1")).keys()


def test_explains_each_key_of_info() -> None:
    info = inspect(elf_object([], []), "a.ko", None)
    memory = ModuleMemory("6.1", (), None, 0, 0)
    found = to_json(replace(info, memory=memory))
    assert isinstance(found["memory"], dict)
    assert json_keys("kbuildpy info") == found.keys() | found["memory"].keys()


def test_explains_each_key_of_which() -> None:
    assert json_keys("kbuildpy which") == answer_json(ModuleAnswer(asked="a", kernel="6.1")).keys()


def test_explains_each_key_of_templates(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["new", "--list", "--format", "json"]) == 0
    [first, *_] = capsys.readouterr().out.splitlines()
    assert json.loads(first).keys() == json_keys("kbuildpy new --list")


# --- Releases


def test_the_version_stands_in_one_place() -> None:
    settings = (ROOT / "pyproject.toml").read_text()
    assert 'dynamic = ["version"]' in settings
    assert '[tool.hatch.version]\npath = "kbuildpy/__init__.py"' in settings
    assert not re.search(r"^version\b", settings, re.MULTILINE)
    assert re.fullmatch(r"\d+\.\d+\.\d+(\.dev0)?", __version__)


def test_the_changelog_begins_with_what_is_unreleased() -> None:
    headings = re.findall(r"^## (.*)$", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert headings[0] == "[Unreleased]"
    assert all(re.fullmatch(r"\[\d+\.\d+\.\d+\] - \d{4}-\d\d-\d\d", heading) for heading in headings[1:])


@pytest.mark.parametrize("suffix", [".py", ".mk", ".sh", ".S", ".c", ".toml"])
def test_every_source_file_names_its_licence_on_its_first_lines(suffix: str) -> None:
    folders = ("kbuildpy", "release", "tests", "site_scons", "sample_modules", "templates")
    files = [path for folder in folders for path in (ROOT / folder).rglob(f"*{suffix}") if "build" not in path.parts]
    without = [path for path in files if "SPDX-License-Identifier:" not in "".join(path.read_text().splitlines()[:3])]
    assert without == []
