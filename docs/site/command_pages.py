# SPDX-License-Identifier: GPL-2.0-only
"""The pages of the commands, from the parsers of the command line."""

from __future__ import annotations

import argparse
import re

from docs.site.markdown import block, code, definition, prose
from kbuildpy import cli

FOLDER = "docs/reference/commands"
_WIDTH = 100


def command_pages() -> dict[str, str]:
    """The pages by path, with the page that lists them first."""
    rows = "".join(f"- [{code(f'kbuildpy {name}')}]({name}.md): {prose(text)}\n" for name, text in cli.COMMANDS.items())
    names = "\n".join(cli.COMMANDS)
    index = f"""# Commands

`kbuildpy COMMAND --help` prints what these pages have. In the order in which a module passes through them:

{rows}
```{{toctree}}
:hidden:

{names}
```
"""
    return {f"{FOLDER}/index.md": index, **{f"{FOLDER}/{name}.md": _page(name) for name in cli.COMMANDS}}


def parser_of(name: str) -> argparse.ArgumentParser:
    """The parser of one command."""
    parser = cli._parser([name])
    [commands] = [action for action in parser._actions if isinstance(action, argparse._SubParsersAction)]
    found: argparse.ArgumentParser = commands.choices[name]
    return found


def epilog_of(name: str) -> tuple[str, list[str]]:
    """The text below the options of a command, and its examples."""
    text, _, examples = (parser_of(name).epilog or "").partition("examples:\n")
    return text.strip(), [line.strip() for line in examples.splitlines()]


def _page(name: str) -> str:
    parser = parser_of(name)
    text, examples = epilog_of(name)
    parts = [f"# kbuildpy {name}\n\n{prose(parser.description or '')}\n\n", block(_usage(parser), "text"), "\n"]
    if text:
        parts.append("".join(f"{prose(paragraph)}\n\n" for paragraph in text.split("\n\n")))
    shown = [action for action in parser._actions if action.help != argparse.SUPPRESS]
    positional = [action for action in shown if not action.option_strings]
    options = [action for action in shown if action.option_strings]
    if positional:
        parts.append("## Arguments\n\n" + "".join(_argument(parser, action) for action in positional))
    parts.append("## Options\n\n" + "".join(_argument(parser, action) for action in options))
    parts.append("## Examples\n\n" + block("\n".join(f"$ {example}" for example in examples), "console"))
    return "".join(parts)


def _usage(parser: argparse.ArgumentParser) -> str:
    formatter = argparse.HelpFormatter(parser.prog, width=_WIDTH)
    formatter.add_usage(parser.usage, parser._actions, parser._mutually_exclusive_groups)
    return formatter.format_help().removeprefix("usage: ").strip()


def _argument(parser: argparse.ArgumentParser, action: argparse.Action) -> str:
    formatter = argparse.HelpFormatter(parser.prog, width=_WIDTH)
    help_text = formatter._expand_help(action) if action.help else ""
    invocation = re.sub(r"\s+", " ", formatter._format_action_invocation(action))
    repeated = " May repeat." if isinstance(action, argparse._AppendAction) else ""
    # (as it stands in --help: its first word may be what is to be typed)
    return definition(code(invocation), prose(f"{help_text.rstrip('.')}.{repeated}"))
