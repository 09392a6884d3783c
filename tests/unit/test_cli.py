# SPDX-License-Identifier: GPL-2.0-only
"""The command line's frame: what every command can count on."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from kbuildpy import __version__, cli
from kbuildpy.errors import KbuildError, UsageError


def command(monkeypatch: pytest.MonkeyPatch, run: Callable[[object], int]) -> None:
    """Replace every command by `run`."""
    module = SimpleNamespace(add_arguments=lambda parser: None, run=run, EXAMPLES=())
    monkeypatch.setattr(cli, "import_module", lambda name: module)


def raising(error: BaseException) -> Callable[[object], int]:
    def run(args: object) -> int:
        raise error

    return run


def kbuildpy(*words: str) -> subprocess.CompletedProcess[str]:
    argv = [sys.executable, "-m", "kbuildpy", *words]
    return subprocess.run(argv, capture_output=True, text=True, check=False, timeout=60)


def test_prints_an_errors_message_and_hint_and_exits_with_its_status(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    command(monkeypatch, raising(UsageError("wrong call", hint="do this\nor that")))
    assert cli.main(["kernels"]) == 2
    assert capsys.readouterr() == ("", "kbuildpy: error: wrong call\n  do this\n  or that\n")
    command(monkeypatch, raising(KbuildError("failed")))
    assert cli.main(["kernels"]) == 1
    assert capsys.readouterr().err == "kbuildpy: error: failed\n"


def test_returns_the_commands_status(monkeypatch: pytest.MonkeyPatch) -> None:
    command(monkeypatch, lambda args: 1)
    assert cli.main(["kernels"]) == 1


def test_an_interrupted_command_is_130_without_a_word(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    command(monkeypatch, raising(KeyboardInterrupt()))
    assert cli.main(["kernels"]) == 130
    assert capsys.readouterr() == ("", "")


def test_a_full_disk_is_an_error_with_the_files_name_and_no_traceback(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    command(monkeypatch, raising(OSError(28, "No space left on device", "/build/a.o")))
    assert cli.main(["kernels"]) == 1
    assert capsys.readouterr().err == "kbuildpy: error: /build/a.o: No space left on device\n"


def test_a_reader_that_went_away_is_no_word_either() -> None:
    script = (
        "import sys, types; from kbuildpy import cli\n"
        "run = lambda args: print('a line') or 0\n"
        "command = types.SimpleNamespace(add_arguments=lambda parser: None, run=run, EXAMPLES=())\n"
        "cli.import_module = lambda name: command\n"
        "sys.exit(cli.main(['kernels']))\n"
    )
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(
        [sys.executable, "-c", script], stdout=writer, stderr=subprocess.PIPE, check=False, timeout=60
    )
    os.close(writer)
    assert (done.returncode, done.stderr) == (141, b"")


def test_closed_standard_streams_take_no_file_in_their_place(tmp_path: Path) -> None:
    script = (
        "import os, sys, types; from kbuildpy import cli\n"
        f"place = {str(tmp_path)!r}\n"
        "def run(args):\n"
        "    with open(f'{place}/file', 'w') as file:\n"
        "        print('a line', flush=True)\n"
        "        print('a complaint', file=sys.stderr, flush=True)\n"
        "        assert sys.stdin.read() == '' and not sys.stdin.isatty()\n"
        "        return os.system('echo a child; echo complains >&2')\n"
        "command = types.SimpleNamespace(add_arguments=lambda parser: None, run=run, EXAMPLES=())\n"
        "cli.import_module = lambda name: command\n"
        "sys.exit(cli.main(['kernels']))\n"
    )
    words = ["sh", "-c", 'exec "$0" -c "$1" <&- >&- 2>&-', sys.executable, script]
    assert subprocess.run(words, check=False, timeout=60).returncode == 0
    assert (tmp_path / "file").read_text() == ""


@pytest.mark.parametrize("words", [[], ["nonsense"], ["kernels", "--nonsense"], ["kernels", "--format", "xml"]])
def test_wrong_arguments_exit_with_2(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        cli.main(words)
    assert caught.value.code == 2
    assert "usage: kbuildpy" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "kbuildpy: error: name a command: kbuildpy --help lists them"),
        (["biuld"], "kbuildpy: error: unknown command biuld; did you mean build?"),
        (["-h2", "x"], "kbuildpy: error: unknown command x"),
        (["kernels", "--fromat=json"], "kbuildpy kernels: error: unknown option --fromat; did you mean --format?"),
        (["kernels", "there"], "kbuildpy kernels: error: unexpected argument there"),
        (["sign", "a.ko", "--kee", "k.pem"], "kbuildpy sign: error: unknown option --kee; did you mean --key?"),
        (["build", "-z"], "kbuildpy build: error: unknown option -z"),
    ],
)
def test_a_word_that_is_not_known_is_said_with_the_usage_of_its_command(
    words: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        cli.main(words)
    usage, *_, last = capsys.readouterr().err.splitlines()
    assert last == said
    assert usage.startswith(f"usage: {said.partition(':')[0]} [")


def test_help_lists_every_command() -> None:
    text = kbuildpy("--help").stdout
    for name, summary in cli.COMMANDS.items():
        assert f"    {name}" in text
        assert summary.split()[0] in text


def test_tells_its_version() -> None:
    assert kbuildpy("--version").stdout == f"kbuildpy {__version__}\n"


def test_help_imports_no_command_and_none_of_the_heavy_libraries() -> None:
    argv = [sys.executable, "-X", "importtime", "-m", "kbuildpy", "--help"]
    done = subprocess.run(argv, capture_output=True, text=True, check=True, timeout=60)
    imported = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert "kbuildpy.cli" in imported
    heavy = {"SCons", "elftools", "jinja2", "cryptography", "subprocess", "json"}
    assert not imported & (heavy | {f"kbuildpy.cli.{name}" for name in cli.COMMANDS})


def test_a_process_ends_without_a_last_collection_of_garbage() -> None:
    """It would look at every object of the build once more: a tenth of a run with nothing to do."""
    code = "import gc\nfrom kbuildpy.__main__ import run\nassert run() == 0\nprint(gc.get_freeze_count() > 10_000)\n"
    done = subprocess.run([sys.executable, "-c", code, "kernels"], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "True"
