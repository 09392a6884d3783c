# SPDX-License-Identifier: GPL-2.0-only
"""The pages of the SCons tool: builders with their keywords, and variables."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from importlib import import_module
from typing import Any

from docs.site.command_pages import parser_of
from docs.site.markdown import block, code, definition, docstring, prose, table
from docs.site.variables import MEANINGS, OF_THE_ENVIRONMENT
from kbuildpy.scons import BUILDERS
from kbuildpy.scons.variables import FLAG_NAMES, KNOWN_NAMES

BUILDERS_PATH = "docs/reference/builders.md"
VARIABLES_PATH = "docs/reference/variables.md"
_SCONS_WORDS = {
    "source": "SCons' word for the modules, or for the sources",
    "target": "SCons' word for what is made, or for the place",
}
"""Keywords of SCons' own builders, which ours take too."""
_OF_PACKAGE = {"os_id": "--os"}
"""Keywords of ModulePackage whose option of `kbuildpy package` has another name."""


def builder_pages() -> dict[str, str]:
    """The two pages by path."""
    sections = "".join(_section(name, function_of(name)) for name in BUILDERS)
    page = f"""# Builders of the SCons tool

`Environment(tools=["default", "kbuild"])` gives an environment these methods. Each returns nodes. A keyword that is not
known is refused when the SConstruct is read. [Building modules](../build.md#an-sconstruct) has an example of each.

{sections}"""
    return {BUILDERS_PATH: page, VARIABLES_PATH: _variables()}


def function_of(name: str) -> Callable[..., Any]:
    """The function of a builder."""
    file, function = BUILDERS[name]
    found: Callable[..., Any] = getattr(import_module(f"kbuildpy.scons.{file}"), function)
    return found


def keyword_meaning(builder: str, keyword: str) -> str:
    """What a keyword of a builder means: the sentences of the docstring that name it; "" where none does."""
    text = inspect.getdoc(function_of(builder)) or ""
    sentences = re.split(r"(?<=[.;:])\s+|\n\n", text)
    said = [" ".join(sentence.split()) for sentence in sentences if f"`{keyword}`" in sentence]
    if said:
        return " ".join(said)
    if builder == "ModulePackage":
        option = _OF_PACKAGE.get(keyword, f"--{keyword.replace('_', '-')}")
        for action in parser_of("package")._actions:
            if option in action.option_strings and action.help:
                return f"As {option} of kbuildpy package: {action.help}"
    return _SCONS_WORDS.get(keyword, "")


def keywords_of(builder: str) -> dict[str, inspect.Parameter]:
    """The parameters of a builder by name, without the environment and without those that Kbuild's variables go to."""
    parameters = inspect.signature(function_of(builder)).parameters
    return {
        name: parameter
        for name, parameter in list(parameters.items())[1:]
        if parameter.kind is not inspect.Parameter.VAR_KEYWORD
    }


def _section(name: str, function: Callable[..., Any]) -> str:
    keywords = keywords_of(name)
    positional = [key for key, parameter in keywords.items() if parameter.kind is not inspect.Parameter.KEYWORD_ONLY]
    named = [f"{key}=" for key in keywords if key not in positional]
    call = f"env.{name}({', '.join([*positional, *named])})"
    paragraphs = (inspect.getdoc(function) or "").split("\n\n")
    text = "\n\n".join(docstring(" ".join(paragraph.split())) for paragraph in paragraphs)
    rows = [
        (code(key), _default(parameter), docstring(keyword_meaning(name, key))) for key, parameter in keywords.items()
    ]
    also = " See [kbuildpy package](commands/package.md)." if name == "ModulePackage" else ""
    return f"## {name}\n\n{block(call, 'python')}\n{text}{also}\n\n" + table(("keyword", "default", "meaning"), rows)


def _default(parameter: inspect.Parameter) -> str:
    value = parameter.default
    return "" if value in (inspect.Parameter.empty, None, "", ()) else code(repr(value))


def _variables() -> str:
    ours = "".join(definition(code(name), prose(MEANINGS[name])) for name in sorted(KNOWN_NAMES))
    environment = "".join(definition(code(name), prose(text)) for name, text in sorted(OF_THE_ENVIRONMENT.items()))
    flags = ", ".join(map(code, FLAG_NAMES))
    return f"""# Variables

Variables have the names and meanings that they have for make. They are set on the command line of `scons` and of
`kbuildpy build` (`W=1`), in an `Environment()`, as a keyword of a builder, or in the process's environment; [which of
these counts](../build.md#variables). Names that begin with `KBUILD_`, `CONFIG_` or `INSTALL_MOD_`
reach make as well.

{ours}
## Flags of an SConstruct

The flags of a module's own objects have SCons' names: {flags}. They are those of the environment, or given to
`env.KernelModule()` in their place.

## Only in the environment

{environment}
"""
