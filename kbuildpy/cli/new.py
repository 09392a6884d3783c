# SPDX-License-Identifier: GPL-2.0-only
"""`kbuildpy new`: a project for a new module, from a template."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path

from kbuildpy.cli.shared_options import add_format, add_quiet, named_path
from kbuildpy.errors import KbuildError, UsageError
from kbuildpy.kernel.names_in_use import names_in_use
from kbuildpy.printable import printable
from kbuildpy.scaffold.author import check_line, default_author
from kbuildpy.scaffold.library import all_templates, find_template
from kbuildpy.scaffold.licenses import DEFAULT, MODULE_LICENSES, spdx_expression
from kbuildpy.scaffold.manifest import Template, parse_version
from kbuildpy.scaffold.names import check_name, check_place
from kbuildpy.scaffold.project import Project, chosen_options

EXAMPLES = ("kbuildpy new --list", "kbuildpy new misc demo --without mmap --license 'GPL-2.0-only OR MIT'")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of `kbuildpy new`."""
    parser.epilog = (
        "Without arguments, on a terminal, the command asks for them. TEMPLATE is a name that --list "
        "shows, or the path of a template's folder. Existing files are never overwritten."
    )
    parser.add_argument("template", nargs="?", metavar="TEMPLATE", help="see --list")
    parser.add_argument("name", nargs="?", metavar="NAME", help="the module's name")
    parser.add_argument("-o", "--output", type=named_path, metavar="DIR", help="the directory to make (default: NAME)")
    parser.add_argument("--author", help="NAME <ADDRESS> (default: from git's configuration)")
    parser.add_argument("--license", default=None, help=f"an SPDX expression (default: {DEFAULT})")
    parser.add_argument("--description", help="one line, for MODULE_DESCRIPTION (default: the template's)")
    parser.add_argument(
        "--kernel-min", metavar="VERSION", help="the oldest kernel it must build for (default: the template's, 6.1)"
    )
    parser.add_argument(
        "--with", action="append", default=[], metavar="OPTION", help="turn this option of the template on"
    )
    parser.add_argument("--without", action="append", default=[], metavar="OPTION", help="without it")
    parser.add_argument(
        "--template-dir", action="append", default=[], type=named_path, metavar="DIR", help="a folder of more templates"
    )
    parser.add_argument("--list", action="store_true", help="list the templates and their options")
    add_format(parser, "for --list: text, or one JSON object per line")
    add_quiet(parser, "do not print what was made")


def run(args: argparse.Namespace) -> int:
    """Make a project, or list the templates."""
    if args.list:
        if args.template:
            raise UsageError("--list lists all templates: leave out TEMPLATE and NAME")
        _list(all_templates(args.template_dir), args.format)
        return 0
    if not args.template and os.isatty(0):
        _ask(args)
    if not args.template or not args.name:
        missing = "NAME" if args.template else "TEMPLATE and NAME"
        raise UsageError(f"{missing} is missing" if args.template else f"{missing} are missing", hint=_USAGE)
    template = find_template(args.template, args.template_dir, name=args.name)
    # (checked first: it is the most frequent mistake, and the other steps take time)
    options = chosen_options(template, getattr(args, "with"), args.without)
    directory = args.output or Path(args.name)
    project = Project(
        template=template,
        name=_checked_name(args.name, template),
        description=check_line("--description", template.summary if args.description is None else args.description),
        author=check_line("--author", default_author(Path.cwd()) if args.author is None else args.author),
        license=spdx_expression(DEFAULT if args.license is None else args.license),
        kernel_min=_kernel_min(args.kernel_min, template),
        options=options,
    )
    check_place(directory)
    from kbuildpy.scaffold.create import create_project  # (slow: Jinja2)

    count = create_project(directory, project)
    if args.quiet:
        return 0
    print(printable(f"{directory}: {template.summary} ({count} files)"))
    print(
        printable(f"  cd {directory} && scons test    builds the module and tests it in a real kernel; see README.md")
    )
    return 0


_USAGE = "kbuildpy new TEMPLATE NAME; kbuildpy new --list shows the templates"


def _checked_name(name: str, template: Template) -> str:
    """`name`, if it is allowed for the template's modules, also with the suffixes that the template appends to it."""
    taken = names_in_use()
    for module in template.modules:
        check_name(module.name.replace("NAME", name), taken=taken)
    return check_name(name, taken=taken)


def _kernel_min(text: str | None, template: Template) -> tuple[int, int]:
    if text is None:
        return template.kernels
    try:
        version = parse_version(text, "--kernel-min")
    except KbuildError as error:
        raise UsageError(error.message, hint=error.hint) from error
    if version < template.kernels:
        oldest = "{}.{}".format(*template.kernels)
        raise UsageError(f"--kernel-min {text}: template {template.name} is for kernels from {oldest} on")
    return version


def _list(templates: dict[str, Template], form: str) -> None:
    if form == "json":
        for template in templates.values():
            print(json.dumps(template.to_json()))
        return
    width = max(map(len, templates), default=0)
    for name, template in templates.items():
        print(printable(f"{name:{width}}  {template.summary}"))
        for option in template.options:
            print(
                printable(
                    f"{'':{width}}    {'--without' if option.default else '--with'} {option.name}: {option.summary}"
                )
            )


def _ask(args: argparse.Namespace) -> None:
    """Ask for missing arguments on the terminal; a wrong answer is asked for again."""
    templates = all_templates(args.template_dir)
    _list(templates, "text")
    args.template = _asked("Template", None, lambda word: find_template(word, args.template_dir).name)
    template = templates[args.template]
    args.name = _asked("Name of the module", None, lambda word: _free_name(word, template, args.output))
    args.description = args.description or _asked(
        "Description", template.summary, lambda word: check_line("description", word)
    )
    author = args.author or default_author(Path.cwd())
    args.author = _asked("Author", author, lambda word: check_line("author", word))
    print(f"Licences: {', '.join(MODULE_LICENSES)}")
    args.license = _asked("Licence", args.license or DEFAULT, spdx_expression)
    for option in template.options:
        answer = _asked(f"{option.summary}?", "yes" if option.default else "no", _yes_or_no)
        (getattr(args, "with") if answer == "yes" else args.without).append(option.name)


def _free_name(word: str, template: Template, output: Path | None) -> str:
    name = _checked_name(word, template)
    check_place(output or Path(name))
    return name


def _yes_or_no(word: str) -> str:
    for answer in ("yes", "no"):
        if word and answer.startswith(word.lower()):
            return answer
    raise UsageError(f"{word!r} is neither yes nor no")


def _asked(question: str, default: str | None, check: Callable[[str], str]) -> str:
    while True:
        try:
            word = input(f"{question}{f' [{default}]' if default else ''}: ").strip() or default or ""
        except EOFError as end:
            print()
            raise UsageError("no answer; nothing was made", hint=_USAGE) from end
        try:
            return check(word)
        except KbuildError as error:
            print(printable(f"{error.message}{f' ({error.hint})' if error.hint else ''}"), file=sys.stderr)
