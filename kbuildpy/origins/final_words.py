# SPDX-License-Identifier: GPL-2.0-only
"""The words of variables whose values were final before a recipe ran, with their origins, for `flag_origins`.

The notes of the assignments (`trace_log`) tell which assignment put a word into a variable; the text of the assignment
tells whether it stands there, or came from another variable, which is followed in its state at that moment.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from kbuildpy.origins.command_options import split
from kbuildpy.origins.make_text import Piece, pieces, references, spaced
from kbuildpy.origins.origin import UNKNOWN, Origin, has_word, origin_at, place_of
from kbuildpy.origins.trace_log import MakeRun, Segment, State

Word = tuple[str, Origin]
"""A word, or a pattern for words, and where it comes from."""

# What stands before a pattern of words, in place of a word.
_PATTERN = "\0"
# There are more candidates than words, and nothing says which of them it is.
_AMBIGUOUS = Origin("unknown")


@dataclass(frozen=True)
class FinalWords:
    """Follows words of values that were final before a recipe ran."""

    given: Mapping[str, str]
    """The variables of make's command line."""
    environ: Mapping[str, str]
    """The environment that the outermost run started from."""
    config: Mapping[str, str]
    """The kernel's CONFIG_ symbols."""
    known: dict[tuple[int, str, int | None], list[Word]] = field(default_factory=dict)
    """The words of variables before steps of runs, as far as they were asked for."""

    def words(self, run: MakeRun, name: str, before: int | None = None) -> list[Word]:
        """The words of a variable before a step of a run."""
        key = (id(run), name, before)
        if key not in self.known:
            self.known[key] = self._words(run, name, before)
        return self.known[key]

    def _words(self, run: MakeRun, name: str, before: int | None) -> list[Word]:
        if name in self.given:
            value = self.given[name]
            return [(word, Origin("command line", variable=name)) for word in split(value)]
        state = run.state(name, before)
        if state is None:
            return self.words_before(run, name)
        if state.simple:
            return self.words_of_simple(run, name, state)
        found: list[Word] = []
        for segment in state.segments:
            found += self.words_before(run, name) if segment is None else self.in_text(run, segment, segment.text)
        return found

    def words_before(self, run: MakeRun, name: str) -> list[Word]:
        """The words of a variable that a run got from its environment."""
        if name in self.given:
            return [(word, Origin("command line", variable=name)) for word in split(self.given[name])]
        if run.parent is not None:
            return self.words(run.parent, name)
        value = self.environ.get(name, "")
        return [(word, Origin("environment", variable=name)) for word in split(value)]

    def words_of_simple(self, run: MakeRun, name: str, state: State) -> list[Word]:
        """The words of a variable whose value is final."""
        found: list[Word] = []
        for segment in state.segments:
            if segment is None:
                found += self.words_before(run, name)
            else:
                earlier = self.words(run, name, segment.number) if _mentions(segment, name) else []
                found += self._of_segment(run, name, segment, earlier)
        return wanted_from(split(state.value), found, otherwise=UNKNOWN)

    def _of_segment(self, run: MakeRun, name: str, segment: Segment, earlier: list[Word]) -> list[Word]:
        """The words that an assignment added. Those of `X := $(filter-out -a,$(X))` were there `earlier`."""
        if segment.assignment.line.operator == "+=":
            earlier = []
        sources = [*earlier, *self.in_text(run, segment, segment.assignment.line.value, without=name)]
        here = segment.assignment
        # What a function makes is not known; references and words that stand there are.
        makes = any(piece.arguments is not None for piece in pieces(here.line.value))
        return [
            (word, origin_at(here, word, made=True) if makes and origin is UNKNOWN else origin)
            for word, origin in wanted_from(split(segment.text), sources, otherwise=UNKNOWN)
        ]

    def in_text(self, run: MakeRun, segment: Segment, text: str, without: str = "") -> list[Word]:
        """The words that `text`, in an assignment, may have been expanded to, in order."""
        here = segment.assignment
        found: list[Word] = []
        for piece in _flat(text):
            if piece.name == "call":
                made = origin_at(here, piece.text, made=True, part=piece.text)
                found += [(f"{_PATTERN}.*{re.escape(word)}", made) for word in _named(piece)]
                continue
            if piece.literal and "$" in piece.text:
                pattern = _pattern(piece.text, lambda inner: self._value(run, inner, segment.number))
                found.append((pattern, origin_at(here, piece.text, made=True, part=piece.text)))
                continue
            if piece.literal:
                found += [(word, origin_at(here, word)) for word in split(piece.text)]
                continue
            if piece.name in self.config:
                made = origin_at(here, piece.text, made=True, part=piece.text)
                found += [(word, made) for word in split(self.config[piece.name].strip('"'))]
                continue
            name = _name_of(piece, lambda inner: self._value(run, inner, segment.number))
            if name and name != without:
                place = place_of(here, piece.text)
                found += [(word, origin.through(place)) for word, origin in self.words(run, name, segment.number)]
        return found

    def _value(self, run: MakeRun, name: str, before: int) -> str:
        if name in self.config:
            return self.config[name]
        return " ".join(word for word, _ in self.words(run, name, before))


def wanted_from(wanted: list[str], found: list[Word], *, otherwise: Origin) -> list[Word]:
    """Each wanted word with the origin of the same word in `found`: from left to right, each of those once. A word that
    is none of them may have the only pattern that fits."""
    by_word: dict[str, list[Origin]] = {}
    for word, origin in found:
        by_word.setdefault(word, []).append(origin)
    counts = {word: wanted.count(word) for word in by_word}
    result = []
    for word in wanted:
        origins = by_word.get(word, [])
        if not origins:
            likely = [each for text, each in found if text[0] == _PATTERN and re.fullmatch(text[1:], word)]
            result.append((word, likely[0] if len({each.place for each in likely}) == 1 else otherwise))
        elif len(origins) > counts[word] and len({origin.place for origin in origins}) > 1:
            result.append((word, _AMBIGUOUS))
        else:
            result.append((word, origins.pop(0) if len(origins) > 1 else origins[0]))
    return result


def _pattern(word: str, value: Callable[[str], str]) -> str:
    """A pattern for what a word with references in it is expanded to. A reference is what its variable has, if that is
    known."""
    parts = []
    for piece in pieces(word):
        known = piece.text if piece.literal else ""
        if not piece.literal and piece.arguments is None and "$" not in piece.name:
            known = value(piece.name)
        parts.append(re.escape(known) if known and not known.startswith(_PATTERN) else ".*")
    return _PATTERN + "".join(parts)


def _named(piece: Piece) -> list[str]:
    """What a call of a function names: `frame-address` of `$(call cc-disable-warning, frame-address)`."""
    return [word for text in (piece.arguments or ())[1:] for word in split(text) if "$" not in word and len(word) > 3]


def _flat(text: str) -> Iterator[Piece]:
    """The words and references of a text at any depth, in order; a word with references in it is one piece."""
    for word in spaced(text):
        parts = list(pieces(word))
        if len(parts) == 1 and not parts[0].literal:
            piece = parts[0]
            if piece.arguments is None:
                yield piece
                continue
            for argument in piece.arguments[1 if piece.name == "call" else 0 :]:
                yield from _flat(argument)
            if piece.name == "call":
                yield piece
        else:
            yield Piece(word)


def _name_of(piece: Piece, value: Callable[[str], str]) -> str:
    """The name of the variable that a reference is to; empty where that is not known."""
    name = piece.name
    for inner in references(name):
        name = name.replace(inner.text, value(inner.name))
    return name.partition(":")[0] if "$" not in name else ""


def _mentions(segment: Segment, name: str) -> bool:
    return any(piece.name == name for piece in references(segment.assignment.line.value)) or has_word(
        segment.assignment.line.value, f"$({name})"
    )
