# SPDX-License-Identifier: GPL-2.0-only
"""Why a Kbuild file names no modules, as far as its text and the directory tell.

The three reasons that there are: a symbol of the configuration that is not set, a Makefile that calls Kbuild with what
it needs, and a Kbuild file in another directory. Nothing is run to find out.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from kbuildpy.errors import KbuildError
from kbuildpy.scaffold.wrapper import written_calls

_OBJECTS = re.compile(r"^\s*obj-\$[({](CONFIG_\w+)[)}]\s*[:+?]*=\s*(.*)")
_CONDITION = re.compile(r"^\s*(?:else\s+)?(ifdef|ifeq|ifneq)\b(.*)")
_EMPTY_SIDE = re.compile(r"""^\s*\(\s*,|,\s*\)\s*$|^\s*(?:""|'')\s|\s(?:""|'')\s*$""")
_SYMBOL = re.compile(r"CONFIG_\w+")
_SETS_OBJECTS = re.compile(r"^\s*(?:obj|subdir)-", re.MULTILINE)
_LOOKED_INTO, _TOLD = 300, 8


def no_modules(
    directory: Path, makefiles: Iterable[str], *, release: str, value_of: Callable[[str], str], command: str
) -> KbuildError:
    """The error for `directory`, whose Kbuild file (it and what it includes are `makefiles`) names no module for the
    kernel `release`, with a hint for each reason that is found.

    `value_of` gives the value of a symbol (`CONFIG_X`), "" where it is not set; `command` is how a build is called.
    """
    files = [Path(name) for name in makefiles]
    hints = [
        *_calls(directory, command),
        *dict.fromkeys(hint for file in files for hint in _symbols(directory, file, value_of)),
        *_below(directory, {file.parent for file in files}, command),
    ]
    if not hints:
        hints = ["obj-m is empty: the Kbuild file says what modules there are as `obj-m := NAME.o`"]
    more = [f"(and {len(hints) - _TOLD} more)"] if len(hints) > _TOLD else []
    return KbuildError(
        f"{directory}: the Kbuild file names no modules for {release} (obj-m is empty)",
        hint="\n".join([*hints[:_TOLD], *more]),
    )


def _symbols(directory: Path, makefile: Path, value_of: Callable[[str], str]) -> Iterator[str]:
    """The symbols that the makefile asks for and that are not as they must be for a module."""
    for number, line in _lines(makefile):
        where = f"{_shown(directory, makefile)}:{number}"
        objects = _OBJECTS.match(line)
        if objects:
            symbol, names = objects[1], objects[2].split()
            value = value_of(symbol)
            if value == "y" and any(name.endswith(".o") for name in names):
                yield f"{where}: {symbol} is y, so that {' '.join(names)} is not made a module: give {symbol}=m"
            elif value not in ("y", "m"):
                yield f"{where}: {symbol} is not set, and {' '.join(names)} depends on it: give {symbol}=m"
        for symbol in _asked_for(line):
            if not value_of(symbol):
                yield f"{where}: {symbol} is not set, and `{line.strip()}` asks for it"


def _asked_for(line: str) -> list[str]:
    """The symbols that must be set for the condition in `line` to hold; `ifndef`, and a comparison that holds with
    nothing, ask for none."""
    condition = _CONDITION.match(line)
    if condition is None:
        return []
    word, compared = condition.groups()
    asks = word == "ifdef" or (word == "ifneq") == bool(_EMPTY_SIDE.search(compared))
    return _SYMBOL.findall(compared) if asks else []


def _calls(directory: Path, command: str) -> Iterator[str]:
    """The calls of Kbuild that the Makefile itself has, with what they give it."""
    for name in ("GNUmakefile", "makefile", "Makefile"):
        path = directory / name
        if path.is_file():
            for call in written_calls(_text(path)):
                given = " ".join(f"{key}={shlex.quote(value)}" for key, value in call.variables)
                place = _place(directory, call.place)
                if given or place != directory:
                    does = f"{command} {shlex.quote(str(place))} {given}".rstrip()
                    yield f"{name}:{call.line} calls Kbuild as `{call.text}`" + (f": {does}" if place else "")
            return


def _place(directory: Path, text: str) -> Path | None:
    """The directory that a call names; None where only make knows what it means."""
    here = re.sub(r"^(?:\$\(CURDIR\)|\$\(PWD\)|\$\{PWD\}|\$\{CURDIR\})", ".", text)
    return None if "$" in here else Path(directory, here.strip('"')).resolve()


def _below(directory: Path, read: set[Path], command: str) -> Iterator[str]:
    """The directories with a Kbuild file, one level or two below, that were not descended to."""
    folders = sorted(path for pattern in ("*", "*/*") for path in directory.glob(pattern) if path.is_dir())
    for folder in folders[:_LOOKED_INTO]:
        if folder in read or (folder / ".kbuildpy").exists() or folder.name.startswith("."):
            continue
        makefile = next((folder / name for name in ("Kbuild", "Makefile") if (folder / name).is_file()), None)
        if makefile and _SETS_OBJECTS.search(_text(makefile)):
            build = f"{command} {shlex.quote(str(folder))}"
            yield f"{makefile.relative_to(directory)} names objects, and nothing leads there: {build}"


def _lines(makefile: Path) -> Iterator[tuple[int, str]]:
    """The lines with their numbers, without comments; those that go on are one."""
    whole, first = "", 1
    for number, line in enumerate(_text(makefile).split("\n"), start=1):
        if not whole:
            first = number
        whole += line.partition("#")[0].rstrip()
        if whole.endswith("\\"):
            whole = f"{whole[:-1].rstrip()} "
            continue
        yield first, whole
        whole = ""


def _shown(directory: Path, path: Path) -> str:
    return str(path.relative_to(directory)) if directory in path.parents else str(path)


def _text(path: Path) -> str:
    try:
        return path.read_text(errors="surrogateescape")
    except OSError:
        return ""
