# SPDX-License-Identifier: GPL-2.0-only
"""Follows the words of an object's command back to the assignments that they come from.

Two kinds of evidence. The assignments that make carried out (`trace_log`) say which of them put a word into a variable.
What make itself expanded each part of a recursive variable to, in the recipe of the object, says which part of the
text a word comes from. Where neither tells, the origin is unknown.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import accumulate
from typing import NamedTuple

from kbuildpy.origins.command_options import split, words
from kbuildpy.origins.final_words import FinalWords, Word, wanted_from
from kbuildpy.origins.make_text import Piece, pieces
from kbuildpy.origins.origin import UNKNOWN, Origin, origin_at, place_of
from kbuildpy.origins.trace_log import MakeRun, Segment
from kbuildpy.origins.trace_makefiles import Assignment

_AUTOMATIC = frozenset("@<*^?+%|")
# Functions whose result is words of one of their arguments, by the first of these.
_PASSES = {"filter": 1, "filter-out": 1, "strip": 0, "sort": 0, "or": 0, "and": 0, "firstword": 0, "lastword": 0}
_UNPURE = frozenset(("eval", "file", "error", "info", "warning"))


class _Part(NamedTuple):
    """A part of an expanded text."""

    text: str
    """What it was expanded to."""
    origin: Origin | None
    """Where that comes from; None where it stands in the text itself."""
    raw: str
    """What it is in the text."""


@dataclass
class Follower:
    """Follows words in one recipe."""

    run: MakeRun
    """The run of make that has the recipe."""
    answers: Mapping[str, str]
    """What make expanded texts to."""
    final: FinalWords
    """What is known of values that were final before it."""
    asked: dict[str, None] = field(default_factory=dict)
    """Texts that `answers` lacks."""

    def words(self, name: str) -> list[Word]:
        """The words that the variable `name` expands to in the recipe, with their origins."""
        return self._words_of_variable(name, self._expanded(f"$({name})"))

    def with_includes(self, origin: Origin) -> Origin:
        """`origin`, which also depends on the CONFIG_ symbols by which its makefiles are included."""
        found: dict[str, None] = {}
        for file in dict.fromkeys(place.file for place in origin.places):
            for symbol in self._symbols_of_include(file, frozenset()):
                found[symbol] = None
        return replace(origin, asked=(*origin.asked, *found)) if found else origin

    def _symbols_of_include(self, file: str, above: frozenset[str]) -> Iterator[str]:
        run: MakeRun | None = self.run
        while run is not None:
            for step, include, names in run.includes:
                if file not in above and any(file == name or file.endswith(f"/{name}") for name in names):
                    yield from origin_at(include, "").symbols
                    segment = Segment(" ".join(names), step, include)
                    for word, origin in self.final.in_text(run, segment, include.line.value):
                        if file.endswith(f"/{word}"):
                            yield from origin.symbols
                    yield from self._symbols_of_include(include.file, above | {file})
                    return
            run = run.parent

    def _expanded(self, text: str) -> str:
        if text not in self.answers:
            self.asked[text] = None
        return self.answers.get(text, "")

    def _words_of_variable(self, name: str, expanded: str) -> list[Word]:
        return wanted_from(split(expanded), self._words_of_state(name), otherwise=UNKNOWN)

    def _words_of_state(self, name: str) -> list[Word]:
        state = None if name in self.final.given else self.run.state(name)
        if state is None:
            return self.final.words(self.run, name)
        if state.simple:
            return self.final.words_of_simple(self.run, name, state)
        found: list[Word] = []
        for segment in state.segments:
            if segment is None:
                found += self.final.words_before(self.run, name)
            else:
                words = self._walk(segment.text, segment.assignment)
                found += [(word, _through(origin, segment.assignment)) for word, origin in words]
        return found

    def _walk(self, text: str, assignment: Assignment) -> list[Word]:
        """The words of a text that is expanded in the recipe. The origin of those that stand in it is `assignment`."""
        joined: list[_Part] = []
        for piece in pieces(text):
            if piece.literal:
                joined.append(_Part(piece.text, None, piece.text))
            else:
                joined += self._piece(piece, assignment)
        return list(_words_of(joined, assignment))

    def _piece(self, piece: Piece, assignment: Assignment) -> Iterator[_Part]:
        if piece.name in _UNPURE:
            return
        expanded = self._expanded(piece.text)
        if piece.text in self.asked:
            # (for the texts that the next round has to ask for)
            self._sources_of(piece, assignment)
            return
        wanted = split(expanded)
        if not wanted:
            yield _Part(expanded, None, piece.text)
            return
        here = origin_at(assignment, piece.text, made=True, part=piece.text)
        if piece.name in _PASSES or piece.name == "if" or _is_plain(piece):
            # Its words are those of something else: one that is not comes from a target's own variable, or from eval.
            here = UNKNOWN
        found = self._sources_of(piece, assignment)
        yield _Part(expanded[: len(expanded) - len(expanded.lstrip())], None, "")
        for number, (word, origin) in enumerate(wanted_from(wanted, found, otherwise=here)):
            yield _Part((" " if number else "") + word, origin, piece.text)
        yield _Part(expanded[len(expanded.rstrip()) :], None, "")

    def _sources_of(self, piece: Piece, assignment: Assignment) -> list[Word]:
        """The words that the expansion of `piece` may consist of."""
        if piece.arguments is None:
            name = self._expanded(piece.name) if "$" in piece.name else piece.name
            if not _is_plain(piece):
                return []
            return self._words_of_state(name)
        if piece.name == "if" and len(piece.arguments) > 1:
            condition, yes, *no = piece.arguments
            holds = self._expanded(condition.strip()).strip()
            if condition.strip() in self.asked:
                return self._walk(" ".join([yes, *no]), assignment)
            return self._walk((yes if holds else ",".join(no)).strip(), assignment)
        if piece.name in _PASSES:
            return [word for text in piece.arguments[_PASSES[piece.name] :] for word in self._walk(text, assignment)]
        return []


def _through(origin: Origin, assignment: Assignment) -> Origin:
    own = place_of(assignment, "")
    last = origin.places[-1] if origin.places else None
    return origin if last and (last.file, last.variable) == (own.file, own.variable) else origin.through(own)


def _words_of(joined: list[_Part], assignment: Assignment) -> Iterator[Word]:
    """The words of texts that follow each other. A word of several parts is made here."""
    ends = list(accumulate(len(part.text) for part in joined))
    for match in words("".join(part.text for part in joined)):
        parts, raw = [], ""
        for end, part in zip(ends, joined, strict=True):
            start = end - len(part.text)
            inside = part.text[max(0, match.start() - start) : max(0, match.end() - start)]
            if inside.strip():
                parts.append(part)
                raw += inside if part.origin is None else part.raw
        if len(parts) == 1 and parts[0].origin is not None:
            yield match[0], parts[0].origin
        elif len(parts) == 1:
            yield match[0], origin_at(assignment, match[0])
        else:
            yield match[0], origin_at(assignment, match[0], made=True, part=raw)


def _is_plain(piece: Piece) -> bool:
    """Whether a piece is a reference to a variable of a name: not `$@`, nor `$(X:a=b)`."""
    return piece.arguments is None and ":" not in piece.name and piece.name not in _AUTOMATIC
