# SPDX-License-Identifier: GPL-2.0-only
"""Compiles sources that were edited while SCons is imported and builds its graph, which takes as long as a compiler.

This guesses what SCons will ask for, so the objects go to folders of their own. An object is used only if SCons asks
for it by the very command that made it, in the same environment, and nothing that the compiler read has changed since
the compiler began. Else it is thrown away, and the source is compiled as usual, with its messages.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from kbuildpy.kbuild.cmd_file import cmd_path_of, depfile_of, read_depfile, saved_command
from kbuildpy.kbuild.compiled_sources import CompiledSources, EditedSource, note_compiled, read_compiled
from kbuildpy.kbuild.finished_build import FileState, file_state
from kbuildpy.kbuild.layout import Layout
from kbuildpy.kbuild.make_environment import base_environment
from kbuildpy.kbuild.stamps import changed_since
from kbuildpy.own_paths import found_foreign


@dataclass(frozen=True)
class EarlyCompiler:
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
    process: subprocess.Popen[bytes]

    @property
    def object_file(self) -> Path:
        """The object that it writes."""
        return Path(self.layout.actual(self.edited.target))

    def stop(self) -> None:
        """End it and all that it has started."""
        if self.process.poll() is None:
            with suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()

    def has_succeeded(self) -> bool:
        """Wait for its end. Whether its programs printed nothing, and its object is still up to date and does not know
        the folder that it lies in (as it would with -gsplit-dwarf). Raises `OSError` if it has written no object."""
        if self.process.wait() or _said(self.layout).stat().st_size:
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
            early.stop()
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
        for early in self._started.values():
            early.stop()
            shutil.rmtree(_folder(early.out), ignore_errors=True)

    def _start(self, edited: EditedSource, known: CompiledSources, out: Path) -> None:
        """Start the compiler for one source, if that can be done: if not, the build will say why."""
        object_file = Layout(known.directory, known.directory, str(out), known.cwd).actual(edited.target)
        place = _folder(out) / str(len(self._started))
        layout = Layout(known.directory, known.directory, str(place), known.cwd)
        env = {**base_environment(os.environ, known.cwd), **known.exported}
        try:
            command = saved_command(cmd_path_of(Path(object_file)).read_text(errors="surrogateescape"))
            shutil.rmtree(place, ignore_errors=True)
            Path(layout.actual(edited.target)).parent.mkdir(parents=True)
            began_ns = time.time_ns()
            with _said(layout).open("wb") as said:
                process = subprocess.Popen(
                    # (as Kbuild runs it: the compiler, then objtool)
                    ["sh", "-c", f"set -e; {layout.relocate(command, [edited.target])}"],
                    cwd=known.cwd,
                    env=env,
                    stdin=subprocess.DEVNULL,
                    stdout=said,
                    stderr=said,
                    start_new_session=True,
                )
        except (OSError, ValueError):
            return
        self._started[object_file] = EarlyCompiler(edited, command, env, layout, out, began_ns, process)


@contextmanager
def early_compilers(directory: Path, outs: Sequence[Path], *, most: int) -> Iterator[EarlyCompilers]:
    """Start early compilers (`EarlyCompilers.start`), and end them with the `with` statement."""
    compilers = EarlyCompilers()
    try:
        compilers.start(directory, outs, most=most)
        yield compilers
    finally:
        compilers.end()


def _folder(out: Path) -> Path:
    return out / ".kbuildpy" / "early"


def _said(layout: Layout) -> Path:
    """The file with what the programs print."""
    return Path(f"{layout.out}.said")
