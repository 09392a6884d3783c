# SPDX-License-Identifier: GPL-2.0-only
"""Notes from which source each object of an output directory was compiled, so that the next build can tell at once
which sources were edited since (`early_compilers`).

The notes are hints: whatever they say, SCons decides what is compiled.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from kbuildpy.kbuild.finished_build import FileState, file_state
from kbuildpy.kernel.cache import read_json, write_json


class EditedSource(NamedTuple):
    """A source that is not as it was when its object was compiled."""

    source: str
    """Its path."""
    state: FileState
    """Its present state."""
    target: str
    """The nominal name of its object."""


class CompiledSources(NamedTuple):
    """What is noted for one output directory."""

    directory: str = ""
    """The module directory."""
    cwd: str = ""
    """The directory in which Kbuild runs commands for it."""
    exported: Mapping[str, str] = {}
    """The environment variables that Kbuild gives to the commands besides those of the user."""
    sources: Mapping[str, Sequence[Any]] = {}
    """For each source: its `FileState` when it was compiled, and the nominal name of its object."""

    def edited(self) -> Iterator[EditedSource]:
        """The sources that are not as they were when they were compiled, without those that are gone."""
        for source, (state, target) in self.sources.items():
            now = file_state(source)
            if list(now) != list(state) and any(now):
                yield EditedSource(source, now, target)


def read_compiled(out: Path) -> CompiledSources:
    """The notes of the output directory `out`; none if they are missing or not as they were written."""
    value: Any = read_json(_notes(out))
    return CompiledSources(**value) if isinstance(value, dict) else CompiledSources()


def note_compiled(out: Path, new: CompiledSources) -> None:
    """Add `new` to the notes of the output directory `out`. Those of another module directory are dropped, and those of
    sources that are gone."""
    known = read_compiled(out)
    sources = dict(known.sources) if known.directory == new.directory else {}
    sources.update(new.sources)
    kept = {source: entry for source, entry in sources.items() if any(file_state(source))}
    write_json(_notes(out), new._replace(sources=kept)._asdict())


def _notes(out: Path) -> Path:
    return out / ".kbuildpy" / "compiled.json"
