# SPDX-License-Identifier: GPL-2.0-only
"""Objects that are compiled before SCons asks for them: which are used, and which are thrown away.

A shell command stands in for the compiler: it writes an object and a depfile, as the compiler does.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from kbuildpy.kbuild.call_note import has_call
from kbuildpy.kbuild.cmd_file import CmdFile, cmd_path_of, format_cmd_file
from kbuildpy.kbuild.compiled_sources import read_compiled
from kbuildpy.kbuild.early_compilers import EarlyCompilers, StartedShell
from kbuildpy.kbuild.finished_build import file_state
from kbuildpy.kbuild.layout import Layout
from kbuildpy.kbuild.make_environment import base_environment
from kbuildpy.kbuild.repeated_call import begin_early, early_compilers, end_early

COPY = "echo a.o: a.c a.h >.a.o.d; cat a.c a.h >a.o"


class Built:
    """A module directory whose object a.o was compiled, by `command`, and whose source was edited since."""

    def __init__(self, place: Path, command: str, exported: Mapping[str, str]) -> None:
        self.place = place
        self.out = place / "build"
        self.layout = Layout(str(place), str(place), str(self.out), str(place))
        self.object_file = self.out / "a.o"
        command = command.replace(">a.o", ">PLACE/a.o").replace(".a.o.d", "PLACE/.a.o.d")
        self.command = command.replace("PLACE", str(place))
        self.target = f"{place}/a.o"
        self.exported = exported
        self.out.mkdir()
        (place / "a.c").write_text("old\n")
        (place / "a.h").write_text("header\n")
        text = format_cmd_file(CmdFile("a.c", ("a.h",), frozenset()), target=self.target, command=self.command)
        cmd_path_of(self.object_file).write_text(text)
        compilers = EarlyCompilers()
        compilers.note(str(place / "a.c"), file_state(str(place / "a.c")), self.target, self.layout, self.env)
        compilers.end()
        self.edit("a.c", "new\n")

    @property
    def env(self) -> dict[str, str]:
        """The environment of the commands. (pytest changes its own.)"""
        return {**base_environment(os.environ, str(self.place)), **self.exported}

    def edit(self, name: str, text: str) -> None:
        """Edit a file a while ago, by the clock of files."""
        (self.place / name).write_text(text)
        time.sleep(0.05)

    def take(self, compilers: EarlyCompilers, *, command: str = "", env: Mapping[str, str] | None = None) -> bool:
        """Ask for the object, as SCons would."""
        return compilers.take(
            self.object_file, command=command or self.command, cwd=str(self.place), env=self.env if env is None else env
        )

    def leftovers(self) -> list[str]:
        """What is in the output besides the object, its records and the notes."""
        known = {"a.o", ".a.o.d", ".a.o.cmd", "compiled.json", "repeated.json"}
        return [path.name for path in self.out.rglob("*") if path.is_file() and path.name not in known]


@pytest.fixture
def built(tmp_path: Path) -> Built:
    return Built(tmp_path.resolve(), COPY, {"srctree": "."})


def test_an_edited_source_is_compiled_before_anybody_asks(built: Built) -> None:
    with early_compilers(built.place, [built.out], most=1, place=built.place / "build") as compilers:
        began = compilers.began_ns(built.object_file)
        assert began < time.time_ns()
        assert built.take(compilers)
        assert built.object_file.read_text() == "new\nheader\n"
        assert (built.out / ".a.o.d").exists()
    assert built.leftovers() == []


def test_nothing_is_compiled_that_was_not_edited(built: Built) -> None:
    built.edit("a.c", "old\n")
    notes = read_compiled(built.out)
    state = file_state(str(built.place / "a.c"))
    compilers = EarlyCompilers()
    compilers.note(str(built.place / "a.c"), state, built.target, built.layout, built.env)
    compilers.end()
    assert read_compiled(built.out).sources != notes.sources
    with early_compilers(built.place, [built.out], most=1, place=built.place / "build") as compilers:
        assert not built.take(compilers)
    assert not built.object_file.exists()


def test_another_command_or_environment_takes_nothing(built: Built) -> None:
    for words in ({"command": f"{built.command} "}, {"env": {**built.env, "CC": "other"}}):
        with early_compilers(built.place, [built.out], most=1, place=built.place / "build") as compilers:
            assert not built.take(compilers, **words)
        assert not built.object_file.exists()


@pytest.mark.parametrize("name", ["a.c", "a.h"])
def test_what_changed_meanwhile_takes_nothing(name: str, built: Built) -> None:
    with early_compilers(built.place, [built.out], most=1, place=built.place / "build") as compilers:
        time.sleep(0.2)
        before = (built.place / name).stat()
        (built.place / name).write_text("NEW\n")
        os.utime(built.place / name, ns=(before.st_atime_ns, before.st_mtime_ns))
        assert not built.take(compilers)
    assert not built.object_file.exists()
    assert built.leftovers() == []


@pytest.mark.parametrize(
    "command",
    [
        f"{COPY}; echo warning",
        f"{COPY}; echo warning >&2",
        f"{COPY}; exit 1",
        "exit 0",
        f"{COPY}; echo PLACE/a.o >>PLACE/a.o",
    ],
    ids=["warns", "warns on standard error", "fails", "writes nothing", "names its place"],
)
def test_an_object_that_is_not_as_it_should_be_is_not_taken(command: str, tmp_path: Path) -> None:
    built = Built(tmp_path.resolve(), command, {})
    with early_compilers(built.place, [built.out], most=1, place=built.place / "build") as compilers:
        assert not built.take(compilers)
    assert not built.object_file.exists()
    assert built.leftovers() == []


def test_a_compiler_that_nobody_asks_for_is_ended_and_not_started_again(tmp_path: Path) -> None:
    built = Built(tmp_path.resolve(), f"echo $$ >{tmp_path.resolve()}/pid; sleep 100; {COPY}", {})
    began = time.monotonic()
    with early_compilers(built.place, [built.out], most=1, place=built.place / "build"):
        while not (built.place / "pid").exists() and time.monotonic() < began + 10:
            time.sleep(0.01)
    assert time.monotonic() < began + 20
    assert not Path(f"/proc/{(built.place / 'pid').read_text().strip()}").exists()
    (built.place / "pid").unlink()
    with early_compilers(built.place, [built.out], most=1, place=built.place / "build"):
        time.sleep(0.3)
    assert not (built.place / "pid").exists()


def test_no_more_are_started_than_may_run(built: Built) -> None:
    with early_compilers(built.place, [built.out], most=0, place=built.place / "build") as compilers:
        assert not built.take(compilers)


def test_a_directory_where_others_write_names_no_command_to_run(built: Built) -> None:
    (built.out / ".kbuildpy").chmod(0o777)
    with early_compilers(built.place, [built.out], most=1, place=built.place / "build") as compilers:
        assert not built.take(compilers)


def test_notes_of_another_directory_start_nothing(built: Built, tmp_path: Path) -> None:
    with early_compilers(tmp_path / "other", [built.out], most=1, place=built.place / "build") as compilers:
        assert not built.take(compilers)


def test_the_users_environment_is_not_written_down(built: Built, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOMEBODYS_TOKEN", "secret-1234")
    compilers = EarlyCompilers()
    env = {**base_environment(os.environ, str(built.place)), "srctree": "."}
    compilers.note(str(built.place / "a.c"), (1, 2, 3, 4), built.target, built.layout, env)
    compilers.end()
    assert "secret-1234" not in (built.out / ".kbuildpy/compiled.json").read_text()
    assert read_compiled(built.out).exported == {"srctree": "."}


def test_sources_that_are_gone_are_forgotten(built: Built) -> None:
    (built.place / "b.c").write_text("b\n")
    (built.place / "a.c").unlink()
    compilers = EarlyCompilers()
    compilers.note(str(built.place / "b.c"), (1, 2, 3, 4), built.target, built.layout, built.env)
    compilers.end()
    assert list(read_compiled(built.out).sources) == [str(built.place / "b.c")]


@pytest.fixture
def called(built: Built, monkeypatch: pytest.MonkeyPatch) -> Iterator[Built]:
    """A directory that was built by `kbuildpy build -k X` in it."""
    monkeypatch.chdir(built.place)
    begin_early(["-k", "X"])
    with early_compilers(built.place, [built.out], most=1, place=built.out) as compilers:
        assert built.take(compilers)
    built.object_file.unlink()
    note_as_compiled(built)
    built.edit("a.c", "newer\n")
    yield built
    end_early()


def note_as_compiled(built: Built) -> None:
    compilers = EarlyCompilers()
    source = str(built.place / "a.c")
    compilers.note(source, file_state(source), built.target, built.layout, built.env)
    compilers.end()


def test_the_same_call_compiles_before_it_is_understood(called: Built) -> None:
    begin_early(["-k", "X"])
    began = time.time_ns()
    time.sleep(0.1)
    with early_compilers(called.place, [called.out], most=1, place=called.out) as compilers:
        assert compilers.began_ns(called.object_file) <= began
        assert called.take(compilers)
    assert called.object_file.read_text() == "newer\nheader\n"
    assert called.leftovers() == [] and not (called.out / ".kbuildpy/early").exists()


def test_a_source_that_was_saved_just_now_is_compiled_all_the_same(called: Built) -> None:
    (called.place / "a.c").write_text("just now\n")
    begin_early(["-k", "X"])
    with early_compilers(called.place, [called.out], most=1, place=called.out) as compilers:
        assert called.take(compilers)


@pytest.mark.parametrize("words", [["-k", "Y"], ["-k", "X", "W=1"], []])
def test_another_call_begins_nothing(words: list[str], called: Built) -> None:
    begin_early(words)
    assert not (called.out / ".kbuildpy/early").exists()


def test_the_same_words_elsewhere_begin_nothing(called: Built, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    (tmp_path / "elsewhere/build").symlink_to(called.out)
    begin_early(["-k", "X"])
    assert not (called.out / ".kbuildpy/early").exists()


def test_what_nobody_takes_is_ended_and_removed(called: Built) -> None:
    begin_early(["-k", "X"])
    assert (called.out / ".kbuildpy/early").exists()
    end_early()
    assert not (called.out / ".kbuildpy/early").exists()
    assert called.leftovers() == []


def test_the_same_words_about_another_output_take_nothing(called: Built, tmp_path: Path) -> None:
    begin_early(["-k", "X"])
    with early_compilers(called.place, [tmp_path / "other"], most=1, place=called.out) as compilers:
        assert not called.take(compilers)
    assert not (called.out / ".kbuildpy/early").exists()


@pytest.mark.parametrize("text", ["", "{", "[]\n00000000", '{"words": 1}'])
def test_a_note_that_is_none_begins_nothing(text: str, called: Built) -> None:
    (called.out / ".kbuildpy/repeated.json").write_text(text)
    begin_early(["-k", "X"])
    assert not (called.out / ".kbuildpy/early").exists()


def test_a_working_directory_that_is_gone_begins_nothing(called: Built, tmp_path: Path) -> None:
    (tmp_path / "gone").mkdir()
    os.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    begin_early(["-k", "X", str(called.place)])
    assert not (called.out / ".kbuildpy/early").exists()


def test_the_note_of_a_call_holds_no_words(called: Built) -> None:
    begin_early(["--cache", "redis://user:secret-1234@host"])
    with early_compilers(called.place, [called.out], most=1, place=called.out):
        pass
    assert "secret-1234" not in (called.out / ".kbuildpy/repeated.json").read_text()


def test_an_address_changes_nothing_in_the_note_of_a_call(called: Built) -> None:
    """Else its password could be guessed, and the guess be tried, by everybody who reads the note."""
    notes = []
    for password in ("secret-1234", "secret-1235"):
        begin_early(["-k", "X", "--cache", f"redis://user:{password}@host"])
        with early_compilers(called.place, [called.out], most=1, place=called.out):
            pass
        notes.append((called.out / ".kbuildpy/repeated.json").read_text())
    assert notes[0] == notes[1]


def test_the_note_of_a_call_is_not_the_note_of_a_build(called: Built) -> None:
    with early_compilers(called.place, [called.out], most=1, place=called.out):
        pass
    assert (called.out / ".kbuildpy/repeated.json").exists()
    assert not has_call(called.out)


def test_what_a_killed_build_has_left_is_not_taken(built: Built) -> None:
    left = built.out / f".kbuildpy/early/{os.getpid()}-0"
    left.mkdir(parents=True)
    (left / "b.o").write_text("half wri")
    with early_compilers(built.place, [built.out], most=1, place=built.place / "build") as compilers:
        assert built.take(compilers)
    assert not (built.out / "b.o").exists()
    assert built.leftovers() == []


# What is said is read although this process has no standard input, and the status although it takes none of children.
_CLOSED = """
import os, signal, sys
from pathlib import Path
from kbuildpy.kbuild.early_compilers import StartedShell
if sys.argv[1] == "input":
    os.close(0)
else:
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
said = Path("said")
shell = StartedShell("echo object; echo warning >&2", cwd=os.getcwd(), env=os.environ, said=said)
status = shell.wait()
shell.stop()
os.write(1, f"{status} {said.read_text().split()}".encode())
"""


@pytest.mark.parametrize(("what", "status"), [("input", 0), ("children", -1)])
def test_what_a_compiler_says_is_read_without_standard_input_or_status(what: str, status: int, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", _CLOSED, what], cwd=tmp_path, capture_output=True, text=True, timeout=60
    )
    assert (done.stdout, done.stderr) == (f"{status} ['object', 'warning']", "")


def test_commands_run_in_their_directory_without_traces_of_the_shells(tmp_path: Path) -> None:
    place = tmp_path / "it's here"
    place.mkdir()
    shell = StartedShell(
        "pwd; echo ${OLDPWD-none}; false; echo on", cwd=str(place), env=os.environ, said=tmp_path / "said"
    )
    assert shell.wait() == 1
    assert (tmp_path / "said").read_text() == f"{place}\nnone\n"
