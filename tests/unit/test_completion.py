# SPDX-License-Identifier: GPL-2.0-only
"""Completion in bash, zsh and fish, as the shells themselves carry it out; and the manual pages, as man reads them."""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest

from kbuildpy import cli
from kbuildpy.cli.complete_words import answer_line, answer_words
from kbuildpy.cli.completed_values import VALUES
from kbuildpy.cli.completion import SHELLS
from kbuildpy.cli.manual_pages import _text, manual_pages
from kbuildpy.fleet.cell import STEPS
from kbuildpy.scaffold.library import all_templates
from kbuildpy.scaffold.licenses import MODULE_LICENSES
from kbuildpy.signing.keygen import ALGORITHMS, HASHES
from tests.support.command_line import call
from tests.support.completing_shells import CompletingShell

DATE = "2024-02-29"


@pytest.fixture(params=SHELLS)
def shell(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[CompletingShell]:
    if shutil.which(request.param) is None:
        pytest.skip(f"no {request.param} (apt-get install {request.param})")
    folder, scratch = tmp_path / "folder", tmp_path / "scratch"
    scratch.mkdir()
    (folder / "modules").mkdir(parents=True)
    for name in ("a.ko", "b.ko.xz", "notes.txt", "key.pem", "two words.ko"):
        (folder / name).touch()
    shell = CompletingShell(request.param, folder, scratch)
    yield shell
    shell.close()


def test_a_shell_proposes_what_may_follow(shell: CompletingShell) -> None:
    parser = cli.command_parser("info")
    formats = {action.dest: set(action.choices or ()) for action in parser._actions}["format"]
    files = {"a.ko", "b.ko.xz", "two words.ko", "modules"}
    expected = {
        "kbuildpy k": {name for name in cli.COMMANDS if name.startswith("k")},
        "kbuildpy info --format ": formats,
        "kbuildpy sign --cert": {"--cert"},
        "kbuildpy check ": files,
        "kbuildpy new ": set(all_templates()),
        "kbuildpy new misc demo --without ": {option.name for option in all_templates()["misc"].options},
        "kbuildpy watch -- ch": {"check"},
    }
    lines = [line for line, words in expected.items() if len(words) > 1 or shell.name != "bash"]
    for line, found in zip(lines, shell.proposed(lines), strict=True):
        # (zsh writes the blank of a file's name with its backslash)
        assert {word.replace("\\", "") for word in found} == expected[line], line


def test_a_shell_completes_words_files_and_values_behind_an_equals_sign(shell: CompletingShell) -> None:
    if shell.name == "fish":
        pytest.skip("fish is asked by `complete -C`")
    assert shell.completed("kbuildpy keyg") == ["keygen"]
    assert shell.completed("kbuildpy info --format=j") == ["info", "--format=json"]
    assert shell.completed("kbuildpy check a") == ["check", "a.ko"]
    assert shell.completed("kbuildpy check two") == ["check", "two words.ko"]
    assert shell.completed("kbuildpy sign --key=ke") == ["sign", "--key=key.pem"]
    assert shell.completed("kbuildpy run --with=kasan,kmeml") == ["run", "--with=kasan,kmemleak"]
    assert shell.completed("kbuildpy check a.ko -k runn") == ["check", "a.ko", "-k", "running"]


def words_of(answer: list[str]) -> set[str]:
    return {line[1:].partition("\t")[0] for line in answer[2:] if line.startswith("=")}


@pytest.mark.parametrize("command", cli.COMMANDS)
def test_every_option_of_a_command_is_proposed_with_a_description(command: str) -> None:
    answer = answer_words([command, "-"])
    parser = cli.command_parser(command)
    shown = [action for action in parser._get_optional_actions() if action.help != argparse.SUPPRESS]
    assert words_of(answer) == {name for action in shown for name in action.option_strings}
    assert all(line.partition("\t")[2] for line in answer[2:])


@pytest.mark.parametrize("command", cli.COMMANDS)
def test_every_metavar_has_a_row_of_values(command: str) -> None:
    parser = cli.command_parser(command)
    actions = [each for each in parser._actions if each.nargs != 0 and not each.choices]
    names = {str(each.metavar or each.dest.upper()) for each in actions if each.help != argparse.SUPPRESS}
    assert names <= VALUES.keys()


def test_no_row_of_values_is_for_a_metavar_that_no_command_has() -> None:
    used = {
        str(action.metavar or action.dest.upper())
        for name in cli.COMMANDS
        for action in cli.command_parser(name)._actions
    }
    assert set(VALUES) - used == set()


def test_values_that_stand_in_two_places_are_the_same_in_both() -> None:
    # (the files that have them import cryptography, or more than Tab should wait for)
    assert [word for word, _ in VALUES["ALGORITHM"].words] == list(ALGORITHMS)
    assert [word for word, _ in VALUES["HASH"].words] == list(HASHES)
    assert [word for word, _ in VALUES["STEPS"].words] == list(STEPS)
    assert {word for word, _ in VALUES["LICENSE"].words} == {word for word in MODULE_LICENSES if " " not in word}
    for values in VALUES.values():
        file, _, name = values.asked.partition(".")
        assert not values.asked or callable(getattr(import_module(f"kbuildpy.cli.{file}"), name))


@pytest.mark.parametrize(
    ("words", "proposed"),
    [
        (["sign", "--key", "a.pem", "--key"], {"--key", "--key-id"}),
        (["check", "a.ko", "-k", "6.1", "--kern"], {"--kernel"}),
        (["check", "-q", "--qui"], set()),
        (["run", "a.ko", "--", "l"], set()),
        (["nonsense", ""], set()),
        (["package", "d"], {"deb", "dkms-deb"}),
        (["--vers"], {"--version"}),
        (["matrix", "--do", "build,ch"], {"build,check"}),
        (["matrix", "--do", "check,ch"], set()),
    ],
)
def test_proposes_what_argparse_would_take_there(words: list[str], proposed: set[str]) -> None:
    assert words_of(answer_words(words)) == proposed


@pytest.mark.parametrize(
    ("line", "breaks", "first", "proposed"),
    [
        ("kbuildpy info --format=j", " =:", ["", "j"], {"json"}),
        ("kbuildpy info --format=j", " ", ["--format=", "j"], {"--format=json"}),
        ("A=b kbuildpy keyg", " =:", ["", "keyg"], {"keygen"}),
        ("kbuildpy check 'two w", " =:", ["", "two w"], set()),
        ("kbuildpy kernels ", " =:", ["", ""], None),
    ],
)
def test_bash_gets_what_follows_its_last_separator(
    line: str, breaks: str, first: list[str], proposed: set[str] | None
) -> None:
    answer = answer_line([line, breaks])
    assert answer[:2] == first
    assert proposed is None or words_of(answer) == proposed


def test_the_install_command_writes_what_shells_and_man_look_for(tmp_path: Path) -> None:
    done = call("completion", "--install", tmp_path, cwd=tmp_path, SOURCE_DATE_EPOCH="1709164800")
    written = {Path(line).relative_to(tmp_path) for line in done.text.splitlines()}
    assert written == {path.relative_to(tmp_path) for path in tmp_path.rglob("*") if path.is_file()}
    assert {Path(place) for _, place in SHELLS.values()} < written
    assert Path("share/man/man1/kbuildpy-sign.1") in written
    assert f'1 "{DATE}" ' in (tmp_path / "share/man/man1/kbuildpy.1").read_text()
    assert call("completion", "--install", tmp_path, "-q", cwd=tmp_path).text == ""
    assert call("completion", cwd=tmp_path).returncode == 2
    for shell, (_, place) in SHELLS.items():
        assert call("completion", shell, cwd=tmp_path).text == (tmp_path / place).read_text()


@pytest.fixture(scope="module")
def prefix(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A prefix in which everything is installed, with a `kbuildpy` that only completes."""
    place = tmp_path_factory.mktemp("prefix")
    assert call("completion", "--install", place, "-q", cwd=place).returncode == 0
    (place / "bin").mkdir()
    (place / "bin/kbuildpy").write_text(f'#!/bin/sh\nexec {sys.executable} -m kbuildpy "$@"\n')
    (place / "bin/kbuildpy").chmod(0o755)
    return place


@pytest.mark.parametrize(
    ("program", "command", "said"),
    [
        ("fish", "complete -C 'kbuildpy keyg'", "keygen\t"),
        (
            "bash",
            ". /usr/share/bash-completion/bash_completion; _completion_loader kbuildpy; complete -p kbuildpy",
            "-F",
        ),
        (
            "zsh",
            "fpath=($1/share/zsh/site-functions); autoload -U +X _kbuildpy && whence -v _kbuildpy",
            "shell function",
        ),
        ("sh", "man -w kbuildpy-sign", "/share/man/man1/kbuildpy-sign.1"),
    ],
)
def test_programs_find_what_was_installed_by_themselves(program: str, command: str, said: str, prefix: Path) -> None:
    if program == "bash" and not Path("/usr/share/bash-completion/bash_completion").exists():
        pytest.skip("no bash-completion (apt-get install bash-completion)")
    if shutil.which(program) is None or shutil.which("man") is None:
        pytest.skip(f"no {program} or no man")
    environ = {
        **os.environ,
        "PATH": f"{prefix}/bin:{os.environ['PATH']}",
        "PYTHONPATH": str(Path(__file__).parents[2]),
        "XDG_DATA_DIRS": f"{prefix}/share",
        "MANPATH": f"{prefix}/share/man",
        "HOME": str(prefix),
    }
    argv = [program, "-c", command, program, str(prefix)]
    done = subprocess.run(argv, capture_output=True, text=True, env=environ, check=False, timeout=60)
    assert said in done.stdout, done.stderr


def test_roff_shows_every_character_as_it_was(tmp_path: Path) -> None:
    if shutil.which("groff") is None:
        pytest.skip("no groff (apt-get install groff-base)")
    text = "\\ \\n - -- ' \" ` ^ ~ é … 'x' .a"
    lines = [".TH X 1 2024-02-29", ".SH NAME", *_text(text), *_text(".begins"), *_text("'begins")]
    argv = ["groff", "-man", "-Tutf8", "-ww", "-P-cbou"]
    environ = {**os.environ, "LC_ALL": "C.UTF-8"}
    done = subprocess.run(argv, input="\n".join(lines), capture_output=True, text=True, check=True, env=environ)
    assert f"{text} .begins 'begins" in " ".join(done.stdout.split())
    assert done.stderr == ""


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Each manual page as a file."""
    folder = tmp_path_factory.mktemp("man")
    for name, text in manual_pages(DATE).items():
        (folder / f"{name}.1").write_text(text)
    return {path.stem: path for path in folder.iterdir()}


def test_mandoc_finds_nothing_in_a_manual_page(pages: dict[str, Path]) -> None:
    if shutil.which("mandoc") is None:
        pytest.skip("no mandoc (apt-get install mandoc)")
    done = subprocess.run(["mandoc", "-Tlint", *pages.values()], capture_output=True, text=True, check=False)
    assert done.stdout + done.stderr == ""


def test_man_shows_a_page_with_every_option_and_example_and_warns_of_nothing(pages: dict[str, Path]) -> None:
    if shutil.which("groff") is None:
        pytest.skip("no groff (apt-get install groff-base)")
    assert pages.keys() == {"kbuildpy", *(f"kbuildpy-{name}" for name in cli.COMMANDS)}
    environ = {**os.environ, "LC_ALL": "C.UTF-8"}
    for name in cli.COMMANDS:
        page = pages[f"kbuildpy-{name}"]
        argv = ["groff", "-man", "-Tutf8", "-ww", "-rLL=200n", "-P-cbou", str(page)]
        done = subprocess.run(argv, capture_output=True, text=True, check=True, env=environ)
        assert done.stderr == "", page.name
        shown = " ".join(done.stdout.replace("\\\n", "").split())
        for example in import_module(f"kbuildpy.cli.{name}").EXAMPLES:
            assert example in shown, name
        for action in cli.command_parser(name)._get_optional_actions():
            assert action.help == argparse.SUPPRESS or all(option in shown for option in action.option_strings)
