# SPDX-License-Identifier: GPL-2.0-only
"""One set of options in all commands: a letter means the same wherever it is, and each help has examples."""

from __future__ import annotations

import argparse
import shlex
from importlib import import_module
from pathlib import Path

import pytest

from kbuildpy import cli
from kbuildpy.cli import run as run_command
from kbuildpy.errors import UsageError

MEANINGS = {"-k": {"kernels", "kernel"}, "-j": {"jobs"}, "-q": {"quiet"}, "-v": {"verbose"}}
# What works on modules; `run` has one guest at a time, and `info` is over at once.
ON_MODULES = {
    "build": "kjqv",
    "lint": "kjq",
    "check": "kjqv",
    "sign": "kjqv",
    "verify": "kjqv",
    "install": "kjqv",
    "run": "kqv",
    "info": "kqv",
}


def options(command: str) -> dict[str, argparse.Action]:
    """The options of a command by each of their names."""
    parser = argparse.ArgumentParser(prog=command)
    import_module(f"kbuildpy.cli.{command}").add_arguments(parser)
    return {name: action for action in parser._actions for name in action.option_strings or (action.dest,)}


@pytest.mark.parametrize("command", cli.COMMANDS)
def test_a_letter_means_the_same_in_every_command(command: str) -> None:
    found = options(command)
    for letter, meanings in MEANINGS.items():
        # (scripts call dkms with -v VERSION)
        if letter in found and (command, letter) != ("dkms", "-v"):
            assert found[letter].dest in meanings


@pytest.mark.parametrize("command", ON_MODULES)
def test_what_works_on_modules_has_them_all_and_json_and_takes_directories(command: str) -> None:
    found = options(command)
    for letter in ON_MODULES[command]:
        assert f"-{letter}" in found
    assert "json" in (found["--format"].choices or ())
    [named] = [action for name, action in found.items() if not name.startswith("-")]
    assert "DIR" in str(named.metavar)


@pytest.mark.parametrize("command", cli.COMMANDS)
def test_each_help_has_two_examples_that_are_right(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    examples = import_module(f"kbuildpy.cli.{command}").EXAMPLES
    assert len(examples) >= 2
    for example in examples:
        program, name, *words = shlex.split(example)
        assert (program, name) == ("kbuildpy", command)
        # (what is wrong ends the process)
        cli._parse([name, *words])
    with pytest.raises(SystemExit) as done:
        cli._parse([command, "--help"])
    assert done.value.code == 0
    text = capsys.readouterr().out
    assert all(f"\n  {example}\n" in text for example in examples)


@pytest.mark.parametrize("command", [name for name, letters in ON_MODULES.items() if "j" in letters])
def test_no_jobs_are_a_wrong_call(command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a.ko").touch()
    for number in ("0", "-1"):
        assert cli.main([command, str(tmp_path / ("." if command in ("build", "lint") else "a.ko")), "-j", number]) == 2
        assert f"-j {number}: at least one job" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["check", "sign", "verify", "run"])
def test_files_may_be_named_before_and_after_options(command: str) -> None:
    args = cli._parse([command, "a.ko", "-k", "6.1", "b.ko", "-q", "c.ko"])
    assert args.files == [Path("a.ko"), Path("b.ko"), Path("c.ko")]
    with pytest.raises(SystemExit):
        cli._parse([command, "a.ko", "-k", "6.1", ""])


def test_info_takes_names_as_they_are_before_and_after_options() -> None:
    assert cli._parse(["info", "pci:v00008086", "-k", "6.1", "loop"]).words == ["pci:v00008086", "loop"]


def test_run_takes_directories(tmp_path: Path) -> None:
    for name in ("b.ko", "sub/a.ko.xz", "sub/text"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "empty").mkdir()
    gone = tmp_path / "gone.ko"
    assert run_command._files([tmp_path, gone]) == [tmp_path / "b.ko", tmp_path / "sub/a.ko.xz", gone]
    with pytest.raises(UsageError, match="no modules below"):
        run_command._files([tmp_path / "empty"])


EMPTY = {
    "build": ["DIR", "-o", "--trace"],
    "lint": ["DIR", "--sarif", "--baseline", "--scripts", "--cocci"],
    "check": ["FILE", "--script", "--cert"],
    "sign": ["FILE", "--key", "--cert", "--attach", "--manifest"],
    "verify": ["FILE", "--cert", "--cert-dir", "--mok", "--revoked", "--manifest"],
    "install": ["DIR", "-o", "--root", "--key", "--cert", "--manifest"],
    "run": ["FILE", "--test"],
    "debug": ["NAME", "--script", "--vmlinux"],
    "which": ["NAME"],
    "graph": ["FILE", "-o", "--around"],
    "init": ["DIR"],
    "keygen": ["KEY"],
    "new": ["-o", "--template-dir"],
    "provenance": ["FILE", "--key", "--cert", "-o", "--build", "--builder-id", "--verify"],
    "reproduce": ["--manifest", "--cert", "--source"],
    "sbom": ["FILE", "-o", "--split", "--build", "--namespace"],
}


@pytest.mark.parametrize(("command", "name"), [(command, name) for command, names in EMPTY.items() for name in names])
def test_an_empty_name_is_a_wrong_call_and_not_the_directory_one_is_in(
    command: str, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("a.ko").touch()
    words = [name, ""] if name.startswith("-") else [""]
    try:
        status = cli.main([command, *words, *(["a.ko"] if name.startswith("-") and command in ON_MODULES else [])])
    except SystemExit as stopped:
        status = int(str(stopped.code))
    assert status == 2
    assert "empty" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["a.ko"]
