# SPDX-License-Identifier: GPL-2.0-only
"""What is known about one name that a message of the build is about."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from kbuildpy.printable import printable
from kbuildpy.source_place import Place

PREFIX = "kbuildpy: help: "
"""Begins each line of help, so that no program takes one for a message of the compiler or of modpost."""
MOST_SUBJECTS = 10
"""Names that are explained after one run of a program."""


@dataclass(frozen=True)
class Advice:
    """Facts about one name."""

    kind: str
    """`undefined`, `namespace`, `gpl-only`, `mismatch`, `compiler` or `objtool`."""
    subject: str
    """The symbol, function, member, type or header."""
    files: tuple[str, ...]
    """The modules or the object that the messages are about, below the module directory."""
    lines: tuple[str, ...]
    """The facts as sentences, `places` among them."""
    places: tuple[Place, ...] = ()
    """Where the sources use it; of a mismatch both ends, the reference first."""
    similar: tuple[str, ...] = ()
    """Names that may be meant, the most likely first."""
    kernels: tuple[str, ...] = ()
    """Other kernels that are installed and have it."""
    configs: tuple[str, ...] = ()
    """The CONFIG_ symbols whose values here exclude it."""

    def with_files_of(self, other: Advice) -> Advice:
        """The same, about the files and places of `other`, too."""
        files = dict.fromkeys((*self.files, *other.files))
        places = dict.fromkeys((*self.places, *other.places))
        return replace(self, files=tuple(files), places=tuple(places))

    def to_json(self) -> dict[str, object]:
        """As `--format json` prints it."""
        return {
            "kind": self.kind,
            "subject": self.subject,
            "files": list(self.files),
            "text": list(self.lines),
            "places": [place.to_json() for place in self.places],
            "similar": list(self.similar),
            "kernels": list(self.kernels),
            "configs": list(self.configs),
        }


def advice_text(found: Iterable[Advice], *, left_out: int = 0) -> str:
    """The lines for people, "" for none; `left_out` says how many names are not explained."""
    return "\n".join(f"{PREFIX}{printable(line)}" for line in _lines(found, left_out))


def _lines(found: Iterable[Advice], left_out: int) -> Iterator[str]:
    for advice in found:
        yield from (f"{advice.subject}: {line}" for line in advice.lines)
    if left_out:
        yield f"and {left_out} more"


def place_text(place: Place) -> str:
    """A place as compilers write it, with the function behind it."""
    where = f"{place.file}:{place.line}" if place.line else place.file
    return f"{where} ({place.function})" if place.function and where else where or f"in {place.function}"
