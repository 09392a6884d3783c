# SPDX-License-Identifier: GPL-2.0-only
"""Compiles sources that were edited while Python and SCons are imported and SCons builds its graph, which takes as long
as a compiler.

This guesses what SCons will ask for, so the objects go to folders of their own. An object is used only if SCons asks
for it by the very command that made it, in the same environment, and nothing that the compiler read has changed since
the compiler began. Else it is thrown away, and the source is compiled as usual, with its messages.

The sooner a compiler starts the better, so this file and what it imports need none of the library's slow modules
(`subprocess`, `dataclasses`, `shutil`, `hashlib`).
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from kbuildpy.kbuild.cmd_file import cmd_path_of, depfile_of, read_depfile, saved_command
from kbuildpy.kbuild.compiled_sources import CompiledSources, EditedSource, note_compiled, read_compiled
from kbuildpy.kbuild.finished_build import FileState, file_state
from kbuildpy.kbuild.layout import Layout
from kbuildpy.kbuild.make_environment import base_environment
from kbuildpy.kbuild.stamps import GRAIN_NS, changed_since
from kbuildpy.own_paths import found_foreign


class StartedShell:
    """A shell that runs a command in a session of its own (`subprocess.Popen` without its import)."""

    def __init__(self, command: str, *, cwd: str, env: Mapping[str, str], said: Path) -> None:
        """Start it in the directory `cwd`; what the command prints goes into the file `said`. Raises `OSError`, and
        `ValueError` for a NUL in one of these."""
        # (the shell's own `cd` would leave OLDPWD to the command)
        script = f"set -e; cd {_quoted(cwd)}; unset OLDPWD; {command}"
        output = os.open(said, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o666)
        try:
            streams: list[tuple[int | str, ...]] = [(os.POSIX_SPAWN_DUP2, output, number) for number in (1, 2)]
            # (last: `output` is 0 where this process has no standard input)
            streams.append((os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0))
            # (Python ignores these two signals)
            ignored = (signal.SIGPIPE, signal.SIGXFSZ)
            argv = ["sh", "-c", script]
            self.pid = os.posix_spawnp("sh", argv, env, file_actions=streams, setsid=True, setsigdef=ignored)
        finally:
            os.close(output)
        self._status: int | None = None

    def wait(self) -> int:
        """Its exit status, once it has ended; negative for a signal, and for one that nobody knows: the kernel keeps
        none for a process that ignores SIGCHLD."""
        if self._status is None:
            self._status = -1
            with suppress(ChildProcessError):
                _, status = os.waitpid(self.pid, 0)
                self._status = os.waitstatus_to_exitcode(status)
        return self._status

    def stop(self) -> None:
        """End it and all that it has started."""
        if self._status is None:
            with suppress(ProcessLookupError):
                os.killpg(self.pid, signal.SIGKILL)
            self.wait()


class EarlyCompiler(NamedTuple):
    """A compiler that was started before SCons asked for its object, and the other programs of the same command."""

    edited: EditedSource
    """What it compiles."""
    command: str
    """Kbuild's command, with nominal names."""
    env: Mapping[str, str]
    """Its environment."""
    layout: Layout
    """Where its output goes."""
    out: Path
    """The output directory that the object is for."""
    began_ns: int
    """When it was started."""
    shell: StartedShell

    @property
    def object_file(self) -> Path:
        """The object that it writes."""
        return Path(self.layout.actual(self.edited.target))

    def has_succeeded(self) -> bool:
        """Wait for its end. Whether its programs printed nothing, and its object is still up to date and does not know
        the folder that it lies in (as it would with -gsplit-dwarf). Raises `OSError` if it has written no object."""
        if self.shell.wait() or _said(self.layout).stat().st_size:
            return False
        read, headers = read_depfile(depfile_of(self.object_file).read_text(errors="surrogateescape"))
        if any(changed_since(self.layout.absolute(name), self.began_ns) for name in (read, *headers)):
            return False
        if file_state(self.edited.source) != self.edited.state:
            return False
        return os.fsencode(self.layout.out) not in self.object_file.read_bytes()

    def hand_over(self) -> None:
        """Move all that was written to the output directory. Raises `OSError`."""
        place = Path(self.layout.out)
        for path in [path for path in place.rglob("*") if path.is_file()]:
            path.replace(self.out / path.relative_to(place))


class EarlyCompilers:
    """The early compilers of a build, and what it compiles for those of the next one."""

    def __init__(self) -> None:
        self._started: dict[str, EarlyCompiler] = {}
        self._waiting: dict[str, EarlyCompiler] = {}
        self._new: dict[Path, CompiledSources] = {}

    def start(self, directory: Path, outs: Sequence[Path], *, most: int) -> None:
        """Start compilers for up to `most` edited sources of the modules in `directory`, with output in `outs`. (Their
        commands are in the output; where another user could have put them there, none is run.)"""
        for out in outs:
            known = read_compiled(out)
            for edited in known.edited() if known.directory == str(directory) else ():
                if len(self._started) < most and not found_foreign(_folder(out).parent):
                    self._start(edited, known, out)
        self._waiting = dict(self._started)

    def began_ns(self, object_file: Path) -> int:
        """When the object was begun that `take` gives for `object_file`: now if there is none."""
        early = self._waiting.get(str(object_file))
        return early.began_ns if early else time.time_ns()

    def take(self, object_file: Path, *, command: str, cwd: str, env: Mapping[str, str]) -> bool:
        """Put `object_file` and its depfile in their place, if they were made by `command` in the directory `cwd` with
        the environment `env`, and are up to date. False: they must be made."""
        early = self._waiting.pop(str(object_file), None)
        if early is None:
            return False
        if (early.command, early.layout.cwd, early.env) != (command, cwd, env):
            early.shell.stop()
            return False
        try:
            if not early.has_succeeded():
                return False
            early.hand_over()
        except OSError:
            return False
        return True

    def note(self, source: str, state: FileState, target: str, layout: Layout, env: Mapping[str, str]) -> None:
        """The object with the nominal name `target` was compiled from `source`, which had `state` before, in the
        environment `env`."""
        usual = base_environment(os.environ, layout.cwd)
        exported = {name: value for name, value in env.items() if usual.get(name) != value}
        out = Path(layout.out)
        before = self._new.get(out, CompiledSources()).sources
        self._new[out] = CompiledSources(layout.directory, layout.cwd, exported, {**before, source: (state, target)})

    def end(self) -> None:
        """End the compilers whose objects nobody has asked for, and write the notes for the next build."""
        for early in self._waiting.values():
            # (nor will anybody ask in the next build: the source was touched, but has the same contents)
            known = read_compiled(early.out)
            noted = known._replace(sources={early.edited.source: (early.edited.state, early.edited.target)})
            note_compiled(early.out, noted)
        for out, new in self._new.items():
            note_compiled(out, new)
        self.stop()
        for early in self._started.values():
            # (a build that was killed leaves its own; one that waits for this one compiles again what it loses here)
            _remove(_folder(early.out))

    def stop(self) -> None:
        """End all compilers, and remove what they wrote."""
        for early in self._started.values():
            early.shell.stop()
            _remove(Path(early.layout.out))
            _said(early.layout).unlink(missing_ok=True)
            with suppress(OSError):
                _folder(early.out).rmdir()

    def _start(self, edited: EditedSource, known: CompiledSources, out: Path) -> None:
        """Start the compiler for one source, if that can be done: if not, the build will say why."""
        object_file = Layout(known.directory, known.directory, str(out), known.cwd).actual(edited.target)
        # (a name of its own: a build that waits for this one has begun already, and one that was killed, perhaps in a
        # container, where each has the same number, has left its files)
        place = _folder(out) / os.urandom(8).hex()
        layout = Layout(known.directory, known.directory, str(place), known.cwd)
        env = {**base_environment(os.environ, known.cwd), **known.exported}
        try:
            command = saved_command(cmd_path_of(Path(object_file)).read_text(errors="surrogateescape"))
            place.mkdir(parents=True)
            Path(layout.actual(edited.target)).parent.mkdir(parents=True, exist_ok=True)
            _wait_for_a_grain(edited)
            began_ns = time.time_ns()
            # (as Kbuild runs it: the compiler, then objtool)
            shell = StartedShell(layout.relocate(command, [edited.target]), cwd=known.cwd, env=env, said=_said(layout))
        except (OSError, ValueError):
            return
        self._started[object_file] = EarlyCompiler(edited, command, env, layout, out, began_ns, shell)


def _wait_for_a_grain(edited: EditedSource) -> None:
    """Wait until a later change of a source shows in its times: what was saved just now may still change unseen."""
    left = max(edited.state[:2]) + GRAIN_NS - time.time_ns()
    if 0 <= left <= GRAIN_NS:
        time.sleep(left / 1e9)


def _quoted(word: str) -> str:
    """As `shlex.quote`."""
    return "'{}'".format(word.replace("'", "'\\''"))


def _remove(folder: Path) -> None:
    import shutil  # (slow)

    shutil.rmtree(folder, ignore_errors=True)


def _folder(out: Path) -> Path:
    return out / ".kbuildpy" / "early"


def _said(layout: Layout) -> Path:
    """The file with what the programs print."""
    return Path(f"{layout.out}.said")
