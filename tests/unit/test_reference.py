# SPDX-License-Identifier: GPL-2.0-only
"""The reference of the site is made from the code, and leaves nothing out of it."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from docs.site.builder_pages import builder_pages, keyword_meaning, keywords_of
from docs.site.command_pages import command_pages, epilog_of
from docs.site.examples import Example, example_of, fits, read_examples
from docs.site.loader_messages import REFUSED, SAID, Message, all_messages
from docs.site.message_pages import FOLDER, kernel_messages, message_pages, unseen
from docs.site.navigation import SECTIONS
from docs.site.variables import MEANINGS
from kbuildpy import cli
from kbuildpy.scons import BUILDERS
from kbuildpy.scons.variables import KNOWN_NAMES
from tests.support.documents import ROOT

LOADER = ROOT / "kbuildpy/loader"
RELOCATION = "Invalid relocation target, existing value is nonzero"
_CALL = re.compile(r"(?:\binfo\.refuse|\braise Undefined|\breturn Undefined|\breturn Unresolvable|\bproblems\.add)\(")
_PASSED_ON = {"problems.add(missing.errno, line, missing.reason, missing.hint)"}
"""Calls that pass on what another one, which is a message, has said."""


@functools.cache
def messages() -> list[Message]:
    return all_messages(ROOT)


@functools.cache
def pages() -> dict[str, str]:
    return message_pages(ROOT)


@functools.cache
def commands() -> dict[str, str]:
    return command_pages()


def refusals() -> Iterator[tuple[str, int]]:
    """The places of the loader's code that refuse a module, by the text of their lines."""
    for path in sorted(LOADER.rglob("*.py")):
        for number, line in enumerate(path.read_text().splitlines(), 1):
            if _CALL.search(line) and not any(text in line for text in _PASSED_ON):
                yield str(path.relative_to(ROOT)), number


def test_every_place_that_refuses_a_module_is_a_message() -> None:
    found = {(message.file, message.number) for message in messages()}
    places = set(refusals())
    assert len(places) > 150
    assert places - found == set()


def test_every_message_of_the_kernels_sources_is_in_the_reference() -> None:
    text = "\n".join(pages().values())
    missing = [item.format for item in kernel_messages(ROOT) if item.format.replace("\n", " ") not in text]
    assert missing == []


def test_what_a_kernel_of_the_referee_says_is_said_by_a_message() -> None:
    never = unseen(ROOT)
    silent = [
        item.format
        for item in kernel_messages(ROOT)
        if item.format not in never and not any(map(item.is_said_by, messages()))
    ]
    assert silent == ["%s: loading module not compiled with retpoline compiler."]


def test_every_message_has_an_errno_or_is_logged_and_says_what_is_wrong() -> None:
    nothing = [
        f"{message.file}:{message.number}"
        for message in messages()
        if not (message.reasons if message.kind != SAID else message.lines)
        or (
            message.kind == REFUSED and not message.errnos and "<errno>" not in "".join(message.lines + message.reasons)
        )
    ]
    assert set(nothing) <= {place for place in nothing if "/signature_check.py:" in place or "/btf.py:" in place}


def test_a_search_for_a_line_of_the_log_finds_its_page() -> None:
    [page] = [name for name, text in pages().items() if f"## `module: x86/modules: {RELOCATION}" in text]
    assert page == f"{FOLDER}/machines-x86-64-relocate.md"
    [message] = [message for message in messages() if RELOCATION in "".join(message.lines)]
    assert message.errnos == ("ENOEXEC",)
    assert message.stages == ("apply_relocations",)
    assert "at a place that is not zero" in message.reasons[0]
    assert message.hints


def test_every_example_is_of_a_message() -> None:
    assert [example for example in read_examples(ROOT) if not any(fits(item, example) for item in messages())] == []


def test_most_messages_have_an_example() -> None:
    examples = read_examples(ROOT)
    refused = [message for message in messages() if message.kind == REFUSED]
    without = [message for message in refused if example_of(message, examples) is None]
    assert len(without) < len(refused) / 2


def test_an_example_of_another_errno_or_line_is_none() -> None:
    message = Message(REFUSED, ("ENOEXEC",), ("<module>: no <what>",), ("it has no <what>",), (), ("f",), "a.py", 1)
    example = Example("6.1", "a case", "ENOEXEC", "f", "drv: no symbols", "it has no symbols")
    assert fits(message, example)
    for wrong in (
        Example("6.1", "a case", "EINVAL", "f", "drv: no symbols", "it has no symbols"),
        Example("6.1", "a case", "ENOEXEC", "g", "drv: no symbols", "it has no symbols"),
        Example("6.1", "a case", "ENOEXEC", "f", "drv: some symbols", "it has no symbols"),
        Example("6.1", "a case", "ENOEXEC", "f", "drv: no symbols", "it has symbols"),
    ):
        assert not fits(message, wrong)


# --- Commands, builders, variables


@pytest.mark.parametrize("name", cli.COMMANDS)
def test_a_command_has_two_examples_and_all_its_options(name: str) -> None:
    _, examples = epilog_of(name)
    assert len(examples) >= 2
    page = commands()[f"docs/reference/commands/{name}.md"]
    source = (ROOT / f"kbuildpy/cli/{name}.py").read_text()
    # (the usage has them as well)
    explained = re.findall(r"--[\w-]+", "".join(line for line in page.splitlines(True) if line.startswith("`-")))
    assert set(re.findall(r'add_argument\(\s*"(--[\w-]+)"', source)) <= set(explained)


def test_every_keyword_of_a_builder_has_a_meaning() -> None:
    assert [(name, key) for name in BUILDERS for key in keywords_of(name) if not keyword_meaning(name, key)] == []
    assert all(f"## {name}\n" in builder_pages()["docs/reference/builders.md"] for name in BUILDERS)


def test_every_variable_has_a_meaning() -> None:
    assert MEANINGS.keys() == KNOWN_NAMES


def test_every_document_is_in_the_navigation() -> None:
    named = {name for names in SECTIONS.values() for name in names}
    written = {str(path.relative_to(ROOT).with_suffix("")) for path in (ROOT / "docs").rglob("*.md")}
    assert written <= named
    assert [
        name for name in named - written if "/reference/" not in name and not Path(ROOT, f"{name}.md").exists()
    ] == []
