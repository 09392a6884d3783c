# SPDX-License-Identifier: GPL-2.0-only
"""Keeps the `compile_commands.json` of `kbuildpy build --compile-commands` current, in each build from then on.

A note among the output says which file was asked for, and for which kernel; a source has one entry. A build with
nothing to do reads the note and compares a digest.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from kbuildpy import __version__
from kbuildpy.errors import KbuildError
from kbuildpy.files import replacing
from kbuildpy.kbuild.compile_commands import compile_commands
from kbuildpy.kbuild.overlay_files import written_files
from kbuildpy.kbuild.stamps import Stamp, digest, stamp
from kbuildpy.kernel.cache import read_json, write_json
from kbuildpy.say import complain, say
from kbuildpy.scons.build_request import BuildRequest
from kbuildpy.scons.group import Group


class _Note(NamedTuple):
    """What was written."""

    file: str
    """The database (absolute)."""
    release: str
    """The kernel whose commands it has."""
    key: str
    """A digest of all that its contents come from."""
    stamp: Stamp
    """Its state."""


def keep_compile_commands(request: BuildRequest, groups: Sequence[Group]) -> None:
    """Write the commands of the group of one kernel, if `request` asks for them or an earlier call did; the first
    kernel of that call. `-c` removes the file.

    Raises `KbuildError` where the file cannot be written; only a message says so in a build that did not ask for it.
    """
    note = _read_note(request)
    if note is None and request.compile_commands is None:
        return
    if request.cleans and request.targets:
        return
    if request.cleans:
        _remove(request, note)
        return
    file = str(request.compile_commands or (note.file if note else ""))
    # (a build of single targets knows only those)
    groups = [group for group in groups if group.plans or not request.targets]
    if request.compile_commands is None and note is not None:
        groups = [group for group in groups if group.project.tree.release == note.release]
    try:
        if groups:
            _keep(request, groups[0], Path(file), note)
    except OSError as error:
        failure = KbuildError(f"{file}: {error.strerror}", hint="--compile-commands=FILE names another place for it")
        if request.compile_commands is not None:
            raise failure from error
        complain(f"kbuildpy: warning: compile commands are out of date: {failure.message}")


def compile_commands_files(request: BuildRequest) -> list[str]:
    """The files that `keep_compile_commands` looks at in a build that does not ask for one."""
    note = _read_note(request)
    return [str(_note_path(request)), *([note.file] if note else [])]


def _keep(request: BuildRequest, group: Group, file: Path, note: _Note | None) -> None:
    release, key = group.project.tree.release, _key(group)
    if note == _Note(str(file), release, key, stamp(file)):
        return
    entries = [
        entry for plan, layout, _ in group.plans for entry in compile_commands(plan, layout, group.project.answer)
    ]
    text = json.dumps(entries, indent=2) + "\n"
    with replacing(file) as replacement:
        if not _holds(file, text.encode()):
            replacement.write(text.encode())
            if "-s" not in request.options:
                say(f"  GEN     {group.label}{file.name}")
    write_json(_note_path(request), _Note(str(file), release, key, stamp(file))._asdict())


def _key(group: Group) -> str:
    """What the entries come from, as a digest; of an overlay, the names of the files in it."""
    plans = [(plan.objects, layout) for plan, layout, _ in group.plans]
    written = [sorted(written_files(overlay)) for overlay in group.overlays]
    return digest(__version__, group.project.answer.compiler, plans, written)


def _holds(file: Path, contents: bytes) -> bool:
    try:
        return file.read_bytes() == contents
    except OSError:
        return False


def _remove(request: BuildRequest, note: _Note | None) -> None:
    """Remove the file that `note` says was written, unless something else has written there since."""
    if note is not None and stamp(note.file) == note.stamp:
        if "-s" not in request.options:
            say(f"Removed {note.file}")
        with suppress(FileNotFoundError):
            Path(note.file).unlink()
    _note_path(request).unlink(missing_ok=True)


def _read_note(request: BuildRequest) -> _Note | None:
    value: Any = read_json(_note_path(request))
    try:
        return _Note(value["file"], value["release"], value["key"], (value["stamp"][0], value["stamp"][1]))
    except (IndexError, KeyError, TypeError):
        return None


def _note_path(request: BuildRequest) -> Path:
    return request.state / "compile_commands"
