# SPDX-License-Identifier: GPL-2.0-only
"""Starts the early compilers (`early_compilers`) of a build before its command line is understood, if the same words
were given in the same directory before: the imports until then take longer than a small source does.

A note in the output says what the call was about. It is a hint: if the call turns out to be about something else, its
compilers are ended, and nothing that they made is used.
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

from kbuildpy.kbuild.early_compilers import EarlyCompilers
from kbuildpy.kernel.cache import read_json, write_json


class RepeatedCall(NamedTuple):
    """What a call was about."""

    words: int
    """A checksum of the command line, without addresses, and of the working directory."""
    directory: str
    """The module directory."""
    outs: Sequence[str]
    """The output directories."""
    most: int
    """How many compilers could be started."""


class _Begun(NamedTuple):
    call: RepeatedCall
    compilers: EarlyCompilers


_words: list[int] = []
"""The checksum of this process' call; none for a process that calls functions."""
_begun: list[_Begun] = []
"""The compilers that were started for this process' call, until they are taken."""


def begin_early(words: Sequence[str]) -> None:
    """Start compilers for this process, which is a call of `kbuildpy build` with the arguments `words`, if the same
    call has left a note."""
    # (whatever is wrong, the build will say it)
    with suppress(OSError, ValueError):
        # (an address may have a password, which many guesses could find in its checksum; and nothing that is compiled
        # depends on an address)
        plain = ["://" if "://" in word else word for word in words]
        checksum = zlib.crc32("\0".join([os.getcwd(), *plain]).encode(errors="surrogateescape"))  # noqa: PTH109
        _words.append(checksum)
        named = [word for word in words if not word.startswith("-") and "=" not in word]
        for place in (place for word in [*named, "."] for place in (f"{word}/build", word)):
            call = _read(Path(place))
            if call is not None and call.words == checksum:
                compilers = EarlyCompilers()
                _begun.append(_Begun(call, compilers))
                compilers.start(Path(call.directory), [Path(out) for out in call.outs], most=call.most)
                return


def end_early() -> None:
    """End the compilers that nobody has taken."""
    while _begun:
        _begun.pop().compilers.stop()


@contextmanager
def early_compilers(directory: Path, outs: Sequence[Path], *, most: int, place: Path) -> Iterator[EarlyCompilers]:
    """The early compilers for the modules in `directory` with output in `outs` (`EarlyCompilers.start`): those that
    were begun for this process' call, or new ones. They end with the `with` statement. The call is noted in `place`,
    the folder of all its output."""
    call = RepeatedCall(_words[-1] if _words else 0, str(directory), [str(out) for out in outs], most)
    compilers = EarlyCompilers()
    if _begun and _begun[-1].call == call:
        compilers = _begun.pop().compilers
    else:
        end_early()
        compilers.start(directory, outs, most=most)
    try:
        if _words and most and _read(place) != call:
            write_json(_note(place), call._asdict())
        yield compilers
    finally:
        compilers.end()


def _read(place: Path) -> RepeatedCall | None:
    value: Any = read_json(_note(place))
    with suppress(TypeError):
        return RepeatedCall(**value) if isinstance(value, dict) else None
    return None


def _note(place: Path) -> Path:
    # (not `call.json`, the name of the note of a build in its output, which may be the same folder)
    return place / ".kbuildpy" / "repeated.json"
