# SPDX-License-Identifier: GPL-2.0-only
"""What may follow the words of a call, for the shells' completion.

The answer is lines: the part of the last word that stays in front of what is completed (`--output=`), the rest of that
word, and then one line for each proposal: `=VALUE<tab>DESCRIPTION` is a whole word, `+PATTERN` stands for files that
match it, `/` for directories. The parsers of the commands are read as argparse would use them; nothing is run.
"""

from __future__ import annotations

import argparse
import re
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from kbuildpy.cli import COMMANDS, command_parser, whole_parser
from kbuildpy.cli.completed_values import Values, values_of

_IN_FRONT_OF_COMMANDS = ("watch", "report")
"""Commands behind whose `--` a call of kbuildpy follows."""
_PARTS = "=:"
"""Characters at which bash begins a new word, if COMP_WORDBREAKS has them, that may be inside of ours."""
_WIDTH = 72


@dataclass
class Given:
    """What the words before the last one are, for a command's parser."""

    positionals: list[str] = field(default_factory=list)
    options: list[argparse.Action] = field(default_factory=list)
    pending: argparse.Action | None = None
    """The option whose value comes next."""


@dataclass(frozen=True)
class Proposals:
    """What may stand in the place of a word."""

    lead: str = ""
    """What the word begins with and is not part of the value."""
    words: tuple[tuple[str, str], ...] = ()
    """Values, without `lead`, and descriptions."""
    patterns: tuple[str, ...] = ()
    """Files that are proposed."""
    folders: bool = False
    """Whether directories are."""


def answer_words(words: Sequence[str]) -> list[str]:
    """The answer for `words` of a call, without `kbuildpy`; the last one is to be completed, and may be empty."""
    *before, current = words or ("",)
    return _lines(_propose(before, current), current, cut=0)


def answer_line(words: Sequence[str]) -> list[str]:
    """The answer for bash: `words` are the line up to the cursor, and COMP_WORDBREAKS. Bash replaces only what follows
    the last of those characters."""
    line, breaks = (*words, "", "")[:2]
    *before, current = _words_of(line)
    breaks = "".join(set(breaks) & set(_PARTS))
    cut = max((current.rfind(character) + 1 for character in breaks), default=0)
    return _lines(_propose(before, current), current, cut=cut)


def _lines(found: Proposals, current: str, *, cut: int) -> list[str]:
    rest = current[len(found.lead) :]
    lines = [found.lead[cut:], rest]
    for word, description in found.words:
        whole = found.lead + word
        if whole.startswith(current):
            lines.append(f"={whole[cut:]}\t{description}")
    lines += [f"+{pattern}" for pattern in found.patterns]
    return [*lines, "/"] if found.folders else lines


def _words_of(line: str) -> list[str]:
    """The words of a shell's line without its first one, the program; the last word may have an open quote."""
    for end in ("", '"', "'"):
        try:
            # (the mark shows whether the cursor stands behind a blank)
            words = shlex.split(f"{line}\0{end}")
        except ValueError:
            continue
        while len(words) > 1 and re.match(r"\w+=", words[0]):
            words.pop(0)
        return [word.removesuffix("\0") for word in words[1:]] or [""]
    return [""]


def _propose(before: Sequence[str], current: str) -> Proposals:
    name = next((word for word in before if not word.startswith("-")), "")
    if not name:
        if current.startswith("-"):
            return _options(whole_parser(), Given())
        return Proposals(words=tuple(COMMANDS.items()))
    if name not in COMMANDS:
        return Proposals()
    words = list(before)[list(before).index(name) + 1 :]
    only_positionals = "--" in words
    if only_positionals and name in _IN_FRONT_OF_COMMANDS:
        return _propose(words[words.index("--") + 1 :], current)
    if only_positionals and name == "run":
        return Proposals()  # (a command of the guest)
    parser = command_parser(name)
    given = _read(parser, [word for word in words if word != "--"])
    if given.pending is not None and not (given.pending.nargs == "?" and current.startswith("-")):
        found = _of_action(given.pending, current, given)
        return found if given.pending.nargs != "?" else _joined(found, _positional(parser, given, current))
    option, equals, value = current.partition("=")
    action = _find(parser, option)
    if equals and action is not None and option.startswith("--"):
        return _of_action(action, value, given, lead=f"{option}=")
    if current.startswith("-") and not only_positionals:
        return _options(parser, given)
    found = _positional(parser, given, current)
    return found if parser._get_positional_actions() else _joined(found, _options(parser, given))


def _read(parser: argparse.ArgumentParser, words: Sequence[str]) -> Given:
    given = Given()
    for word in words:
        pending, given.pending = given.pending, None
        if pending is not None and not (pending.nargs == "?" and word.startswith("-")):
            continue
        if word.startswith("-") and word != "-":
            name, equals, _ = word.partition("=")
            action = _find(parser, name)
            if action is not None:
                given.options.append(action)
                given.pending = action if action.nargs != 0 and not equals else None
            elif not word.startswith("--") and (short := _find(parser, word[:2])) is not None:
                given.options.append(short)  # (-j4)
        else:
            given.positionals.append(word)
    return given


def _find(parser: argparse.ArgumentParser, name: str) -> argparse.Action | None:
    return next((action for action in _shown(parser) if name in action.option_strings), None)


def _shown(parser: argparse.ArgumentParser) -> Iterator[argparse.Action]:
    return (action for action in parser._get_optional_actions() if action.help != argparse.SUPPRESS)


def _options(parser: argparse.ArgumentParser, given: Given) -> Proposals:
    """The options of a parser, each by all of its names, without those that are given and do not repeat."""
    once = [action for action in given.options if not isinstance(action, argparse._AppendAction)]
    names = ((name, action) for action in _shown(parser) if action not in once for name in action.option_strings)
    return Proposals(words=tuple((name, describe(parser, action)) for name, action in names))


def _positional(parser: argparse.ArgumentParser, given: Given, current: str) -> Proposals:
    count = len(given.positionals)
    for action in parser._get_positional_actions():
        if count <= 0 or action.nargs in ("*", "+"):
            return _of_action(action, current, given)
        count -= 1
    return Proposals()


def _of_action(action: argparse.Action, current: str, given: Given, *, lead: str = "") -> Proposals:
    found = _values(action, given)
    if found.listed:
        # (a list with commas: the last of its words)
        done = current[: current.rfind(",") + 1]
        chosen = set(done.split(","))
        return Proposals(lead + done, tuple(word for word in found.words if word[0] not in chosen))
    return Proposals(lead, found.words, found.patterns, found.folders)


def _values(action: argparse.Action, given: Given) -> Values:
    if action.choices:
        return Values(tuple((str(choice), "") for choice in action.choices))
    return values_of(str(action.metavar or action.dest.upper()), given.positionals)


def _joined(first: Proposals, second: Proposals) -> Proposals:
    return Proposals(
        first.lead, first.words + second.words, first.patterns + second.patterns, first.folders or second.folders
    )


def describe(parser: argparse.ArgumentParser, action: argparse.Action) -> str:
    """The help of an option on one line of a bounded width."""
    text = " ".join(parser._get_formatter()._expand_help(action).split()) if action.help else ""
    text = re.split(r"; | \(", text, maxsplit=1)[0].rstrip(":")
    return text if len(text) <= _WIDTH else f"{text[:_WIDTH].rsplit(' ', 1)[0]} ..."
