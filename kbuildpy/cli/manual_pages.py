# SPDX-License-Identifier: GPL-2.0-only
"""Manual pages, from the parsers of the commands: kbuildpy(1), and one for each command.

The language is man(7)'s, as groff and mandoc have it. Lines stay below 80 bytes, which mandoc -Tlint looks at.
"""

from __future__ import annotations

import argparse
import re
import textwrap
from collections.abc import Iterator
from importlib import import_module

from kbuildpy import __version__
from kbuildpy.cli import COMMANDS, command_parser, whole_parser

_ESCAPES = {"\\": "\\e", "-": "\\-", "'": "\\(aq", '"': "\\(dq", "`": "\\(ga", "^": "\\(ha", "~": "\\(ti"}
_WIDTH = 70
_STATUS = "Exit status:"
_VARIABLES = (
    ("KDIR", "The kernel tree, where -k names no kernel."),
    ("KERNELRELEASE", "The release of a kernel, where neither -k nor KDIR names one."),
    ("KBUILDPY_CACHE", "The directory of caches and of fetched kernels (default: ~/.cache/kbuildpy)."),
    ("KBUILDPY_FAILURES", "0: no notes of failures for kbuildpy report --last."),
    ("KBUILDPY_SHARED_CACHE", "The address of a shared cache of built files."),
    ("KBUILD_SIGN_PIN", "The passphrase of a private key, or the PIN of a token."),
)


def manual_pages(date: str) -> dict[str, str]:
    """Every manual page by its name (`kbuildpy-sign`), with the `date` (YYYY-MM-DD) in its head."""
    return {"kbuildpy": _main_page(date), **{f"kbuildpy-{name}": command_page(name, date) for name in COMMANDS}}


def command_page(name: str, date: str) -> str:
    """The manual page of one of `COMMANDS`."""
    parser = command_parser(name)
    examples = import_module(f"kbuildpy.cli.{name}").EXAMPLES
    before, status = _paragraphs(parser)
    positionals = [action for action in parser._get_positional_actions() if action.help != argparse.SUPPRESS]
    lines = [
        *_head(f"kbuildpy-{name}", COMMANDS[name], date),
        *_synopsis(parser),
        ".SH DESCRIPTION",
        *_joined(map(_text, before)),
        *([".SH ARGUMENTS"] if positionals else []),
        *_entries(parser, positionals),
    ]
    heading = ".SH OPTIONS"
    for group in parser._action_groups:
        options = [each for each in group._group_actions if each.option_strings and each.help != argparse.SUPPRESS]
        if options:
            own = group.title not in ("options", "optional arguments")
            lines += [f".SS {_escaped(str(group.title))}"] if own else [heading]
            lines += _entries(parser, options)
    lines += [".SH EXIT STATUS", *_text(status), ".SH EXAMPLES"]
    for number, example in enumerate(examples):
        lines += [*([".PP"] if number else []), ".nf", ".RS", *_broken(example), ".RE", ".fi"]
    return "\n".join([*lines, *_see_also(["kbuildpy"]), ""])


def _main_page(date: str) -> str:
    parser = whole_parser()
    _, status = _paragraphs(parser)
    lines = [
        *_head("kbuildpy", "build, check, sign, install and test Linux kernel modules", date),
        ".SH SYNOPSIS",
        ".B kbuildpy",
        r"[\-h] [\-\-version]",
        ".I COMMAND",
        r"\&...",
        ".SH DESCRIPTION",
        *_text(parser.description or ""),
        ".PP",
        "Each command has a manual page of its own.",
        ".SH COMMANDS",
    ]
    for name, summary in COMMANDS.items():
        lines += [".TP", f".BR kbuildpy\\-{_escaped(name)} (1)", *_text(f"{summary[0].upper()}{summary[1:]}.")]
    lines += [".SH OPTIONS", *_entries(parser, parser._get_optional_actions()), ".SH ENVIRONMENT"]
    for name, text in _VARIABLES:
        lines += [".TP", f".B {_escaped(name)}", *_text(text)]
    lines += [".SH EXIT STATUS", *_text(status)]
    return "\n".join([*lines, *_see_also([f"kbuildpy-{name}" for name in COMMANDS]), ""])


def _head(name: str, summary: str, date: str) -> list[str]:
    title = f'.TH {_escaped(name.upper())} 1 "{date}" "kbuildpy {__version__}" "User Commands"'
    return [r".\" SPDX-License-Identifier: GPL-2.0-only", title, ".SH NAME", *_text(f"{name} - {summary}")]


def _synopsis(parser: argparse.ArgumentParser) -> list[str]:
    usage = " ".join(parser.format_usage().removeprefix("usage: ").removeprefix(parser.prog).split())
    # (an option and its value stay on one line)
    kept = re.sub(r"\[[^][]*\]", lambda match: match[0].replace(" ", "\0"), usage)
    lines = [line.replace("\0", r"\ ") for line in _wrapped(_escaped(kept))]
    return [".SH SYNOPSIS", f".B {_escaped(parser.prog)}", *lines]


def _paragraphs(parser: argparse.ArgumentParser) -> tuple[list[str], str]:
    """What a parser's help says before and behind its options, without examples; and what it says of exit statuses."""
    text = [parser.description or "", *(parser.epilog or "").split("\n\n")]
    status = "0 done; 1 the work failed; 2 the call was wrong."
    before = []
    for paragraph in text:
        if paragraph.startswith("examples:"):
            continue
        said, found, statuses = paragraph.partition(_STATUS)
        if found:
            sentence, _, others = _sentence(statuses)
            status, said = sentence, f"{said} {others}"
        if said.strip():
            before.append(said.strip())
    return before, status


def _sentence(text: str) -> tuple[str, str, str]:
    """The first sentence of `text` and the others."""
    match = re.match(r"(.*?\.)(\s+(?=[A-Z`])|$)(.*)", text.strip(), re.DOTALL)
    return (match[1], match[2], match[3]) if match else (text.strip(), "", "")


def _entries(parser: argparse.ArgumentParser, actions: list[argparse.Action]) -> Iterator[str]:
    for action in actions:
        yield ".TP"
        yield f".B {_escaped(_invocation(parser, action))}"
        yield from _text(_help(parser, action)) or [r"\&"]


def _invocation(parser: argparse.ArgumentParser, action: argparse.Action) -> str:
    return parser._get_formatter()._format_action_invocation(action)


def _help(parser: argparse.ArgumentParser, action: argparse.Action) -> str:
    return " ".join(parser._get_formatter()._expand_help(action).split()) if action.help else ""


def _see_also(names: list[str]) -> list[str]:
    lines = [f".BR {_escaped(name)} (1)" for name in names]
    return [".SH SEE ALSO", *(f"{line}," for line in lines[:-1]), lines[-1]]


def _joined(paragraphs: Iterator[list[str]]) -> Iterator[str]:
    for number, lines in enumerate(paragraphs):
        if number:
            yield ".PP"
        yield from lines


def _text(text: str) -> list[str]:
    """Lines of running text. A line that begins with a control character of roff's gets a mark before it."""
    lines = _wrapped(_escaped(text))
    return [f"\\&{line}" if line.startswith((".", "'")) else line for line in lines]


def _broken(command: str) -> list[str]:
    """A command on one line, or on several with backslashes, none longer than man's lines."""
    kept = re.sub(r"'[^']*'", lambda match: match[0].replace(" ", "\0"), command)
    lines = _wrapped(_escaped(kept), indent="    ")
    *before, last = (line.replace("\0", " ") for line in lines)
    return [*(f"{line} \\e" for line in before), last]


def _wrapped(text: str, *, indent: str = "") -> list[str]:
    return textwrap.wrap(text, _WIDTH, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)


def _escaped(text: str) -> str:
    return "".join(
        _ESCAPES.get(character, character if character.isascii() else f"\\[u{ord(character):04X}]")
        for character in text
    )
