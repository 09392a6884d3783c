# SPDX-License-Identifier: GPL-2.0-only
"""Follows the words of an object's command back to the assignments that they come from.

Two kinds of evidence. The assignments that make carried out (`trace_log`) say which of them put a word into a variable.
What make itself expanded each part of a recursive variable to, in the recipe of the object, says which part of the
text a word comes from. Where neither tells, the origin is unknown.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import accumulate
from typing import NamedTuple

from kbuildpy.kbuild.command_options import split, words
from kbuildpy.kbuild.make_text import Piece, pieces, references, spaced
from kbuildpy.kbuild.origin import UNKNOWN, Origin, has_word, origin_at, place_of
from kbuildpy.kbuild.trace_log import MakeRun, Segment, State
from kbuildpy.kbuild.trace_makefiles import Assignment

Word = tuple[str, Origin]

_AUTOMATIC = frozenset("@<*^?+%|")
# Functions whose result is words of one of their arguments, by the first of these.
_PASSES = {"filter": 1, "filter-out": 1, "strip": 0, "sort": 0, "or": 0, "and": 0, "firstword": 0, "lastword": 0}
# What stands before a pattern of words, in place of a word.
_PATTERN = "\0"
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
    given: Mapping[str, str]
    """The variables of make's command line."""
    environ: Mapping[str, str]
    """The environment that the outermost run started from."""
    config: Mapping[str, str]
    """The kernel's CONFIG_ symbols."""
    asked: dict[str, None] = field(default_factory=dict)
    """Texts that `answers` lacks."""
    known: dict[tuple[int, str, int | None], list[Word]] = field(default_factory=dict)
    """The words of variables before steps of runs, as far as they were asked for."""

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
                    for word, origin in _Inherited(self).in_text(run, segment, include.line.value):
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
        state = None if name in self.given else self.run.state(name)
        if state is None:
            return _Inherited(self).words(self.run, name)
        if state.simple:
            return _Inherited(self).words_of_simple(self.run, name, state)
        found: list[Word] = []
        for segment in state.segments:
            if segment is None:
                found += _Inherited(self).words_before(self.run, name)
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


@dataclass
class _Inherited:
    """Follows words of values that were final before the recipe ran."""

    follower: Follower

    def words(self, run: MakeRun, name: str, before: int | None = None) -> list[Word]:
        """The words of a variable before a step of a run."""
        key = (id(run), name, before)
        if key not in self.follower.known:
            self.follower.known[key] = self._words(run, name, before)
        return self.follower.known[key]

    def _words(self, run: MakeRun, name: str, before: int | None) -> list[Word]:
        if name in self.follower.given:
            value = self.follower.given[name]
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
        if name in self.follower.given:
            return [(word, Origin("command line", variable=name)) for word in split(self.follower.given[name])]
        if run.parent is not None:
            return self.words(run.parent, name)
        value = self.follower.environ.get(name, "")
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
            if piece.name in self.follower.config:
                made = origin_at(here, piece.text, made=True, part=piece.text)
                found += [(word, made) for word in split(self.follower.config[piece.name].strip('"'))]
                continue
            name = _name_of(piece, lambda inner: self._value(run, inner, segment.number))
            if name and name != without:
                place = place_of(here, piece.text)
                found += [(word, origin.through(place)) for word, origin in self.words(run, name, segment.number)]
        return found

    def _value(self, run: MakeRun, name: str, before: int) -> str:
        if name in self.follower.config:
            return self.follower.config[name]
        return " ".join(word for word, _ in self.words(run, name, before))


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
            # More candidates than words: nothing says which of them it is.
            result.append((word, UNKNOWN if otherwise is UNKNOWN else origins[0]))
        else:
            result.append((word, origins.pop(0) if len(origins) > 1 else origins[0]))
    return result


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


def _is_plain(piece: Piece) -> bool:
    """Whether a piece is a reference to a variable of a name: not `$@`, nor `$(X:a=b)`."""
    return piece.arguments is None and ":" not in piece.name and piece.name not in _AUTOMATIC


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
