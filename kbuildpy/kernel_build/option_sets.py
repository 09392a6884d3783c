# SPDX-License-Identifier: GPL-2.0-only
"""Named sets of configuration options: the files in `fragments/`, which are configurations themselves.

The first comment of a file says what the set is for. `# excludes: NAME ...` names sets that cannot go with it,
`# compiler: clang` what it needs, `# parameters: WORDS` how such a kernel is started to find most,
`# later: OPTION` what later sources call its first option. An option that a kernel's
sources do not define is left out there, unless it is the first one of the set: this one is what the set is about.
"""

from __future__ import annotations

import re
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from kbuildpy.errors import UsageError
from kbuildpy.printable import printable
from kbuildpy.similar import did_you_mean

_FRAGMENTS = Path(__file__).with_name("fragments")
_BASE = "base"
_NOTE = re.compile(r"# (excludes|compiler|later|parameters): (.+)")
_SET = re.compile(r"CONFIG_(\w+)=(.*)")
_UNSET = re.compile(r"# CONFIG_(\w+) is not set")


@dataclass(frozen=True)
class OptionSet:
    """A named set of options."""

    name: str
    summary: str
    """What it is for."""
    options: Mapping[str, str]
    """Symbol without CONFIG_ -> value, as a configuration has it; "n" for one that is not set."""
    excludes: frozenset[str] = frozenset()
    """The names of sets that cannot be had with this one."""
    compiler: str = ""
    """The compiler that it needs (`clang`); "" for any."""
    later: str = ""
    """What later sources call the option that the set is about; "" for the same."""
    parameters: tuple[str, ...] = ()
    """The kernel parameters with which it finds most."""

    @property
    def main(self) -> str:
        """The option that the set is about."""
        return next(iter(self.options))

    def main_of(self, defined: Container[str]) -> str:
        """The same, by its name in sources that define the options `defined`."""
        return self.later if self.later in defined else self.main


def option_set_names() -> list[str]:
    """The names of all sets."""
    names = (path.name.removesuffix(".config") for path in _FRAGMENTS.glob("*.config"))
    return sorted(name for name in names if name != _BASE and not name.startswith(f"{_BASE}-"))


def read_option_sets(names: Sequence[str]) -> tuple[OptionSet, ...]:
    """The sets called `names`, in the order of their names, each once. Raises `UsageError` for one that does not exist,
    and for two that exclude each other."""
    known = option_set_names()
    for name in names:
        if name not in known:
            raise UsageError(
                f"--with {printable(name) or 'an empty name'}: no such set of options",
                hint=did_you_mean(name, known) or f"one of {', '.join(known)}",
            )
    sets = tuple(_read(name) for name in sorted({*names}))
    for each in sets:
        against = sorted(each.excludes & {*names})
        if against:
            raise UsageError(
                f"--with {each.name},{against[0]}: a kernel has one of the two", hint="build a kernel for each"
            )
    return sets


def kernel_parameters(names: Sequence[str]) -> tuple[str, ...]:
    """The kernel parameters with which the sets called `names` find most. Raises `UsageError` as `read_option_sets`."""
    return tuple(word for each in read_option_sets(names) for word in each.parameters)


def options_of(sets: Iterable[OptionSet]) -> dict[str, str]:
    """The options of all `sets`: symbol without CONFIG_ -> value."""
    return {name: value for each in sets for name, value in each.options.items()}


def base_options(srcarch: str) -> dict[str, str]:
    """What every small kernel of the architecture `srcarch` has."""
    machine = _FRAGMENTS / f"{_BASE}-{srcarch}.config"
    found = read_options(_FRAGMENTS / f"{_BASE}.config")
    return {**found, **(read_options(machine) if machine.exists() else {})}


def machines_with_base() -> list[str]:
    """The architectures (directories below arch/) that small kernels are known for."""
    return sorted(path.name.split("-", 1)[1].removesuffix(".config") for path in _FRAGMENTS.glob(f"{_BASE}-*.config"))


def read_options(path: Path) -> dict[str, str]:
    """The options of the configuration in the file `path`: symbol without CONFIG_ -> value. Raises `UsageError` for a
    file that cannot be read, or that is no configuration."""
    try:
        text = path.read_text()
    except (OSError, ValueError) as error:
        raise UsageError(f"{path}: cannot be read: {getattr(error, 'strerror', None) or 'it is no text'}") from error
    found: dict[str, str] = {}
    for number, line in enumerate(text.splitlines(), 1):
        match = _SET.fullmatch(line.strip())
        unset = _UNSET.fullmatch(line.strip())
        if match:
            found[match[1]] = match[2]
        elif unset:
            found[unset[1]] = "n"
        elif line.strip() and not line.lstrip().startswith("#"):
            raise UsageError(
                f"{path}:{number}: not a line of a configuration: {printable(line.strip()[:80])}",
                hint="lines are CONFIG_NAME=VALUE, `# CONFIG_NAME is not set`, or comments",
            )
    return found


def _read(name: str) -> OptionSet:
    path = _FRAGMENTS / f"{name}.config"
    comments = [line for line in path.read_text().splitlines() if line.startswith("# ")]
    notes = {match[1]: match[2] for line in comments if (match := _NOTE.fullmatch(line))}
    return OptionSet(
        name,
        comments[0].removeprefix("# "),
        read_options(path),
        excludes=frozenset(notes.get("excludes", "").split()),
        compiler=notes.get("compiler", ""),
        later=notes.get("later", ""),
        parameters=tuple(notes.get("parameters", "").split()),
    )
