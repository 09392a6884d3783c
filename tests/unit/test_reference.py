# SPDX-License-Identifier: GPL-2.0-only
"""The reference of the site is made from the code, and leaves nothing out of it."""

from __future__ import annotations

import functools
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from docs.site.builder_pages import builder_pages, keyword_meaning, keywords_of
from docs.site.by_hand import BY_HAND, NEVER
from docs.site.command_pages import command_pages, epilog_of
from docs.site.examples import Example, example_of, fits, read_examples
from docs.site.loader_messages import REFUSED, SAID, Message, all_messages
from docs.site.message_pages import FOLDER, TOOLS, entries, kernel_messages, message_pages, unseen
from docs.site.navigation import SECTIONS
from docs.site.provoke import how_to_provoke
from docs.site.said_lines import SAID_LINES
from docs.site.tool_lines import MEANINGS as ERRNOS
from docs.site.variables import MEANINGS
from kbuildpy import cli
from kbuildpy.scons import BUILDERS
from kbuildpy.scons.variables import KNOWN_NAMES
from tests.support.documents import ROOT
from tests.vm.referee.damage_words import words_of

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
    assert len(without) < len(refused) / 4


def test_every_message_has_a_reason_and_a_remedy_and_a_way_or_why_there_is_none() -> None:
    examples = read_examples(ROOT)
    lacking = [
        entry.heading
        for entry in entries(ROOT)
        if not (entry.message.reasons and entry.message.hints and how_to_provoke(entry.message, examples))
    ]
    assert lacking == []


def test_no_two_messages_or_pages_have_the_same_heading() -> None:
    found = [line for text in pages().values() for line in text.splitlines() if re.match("##? ", line)]
    assert len(found) > 350
    assert [heading for heading, count in Counter(found).items() if count > 1] == []


def test_a_message_needs_nothing_that_a_reader_of_the_site_does_not_have() -> None:
    text = "\n".join(pages().values())
    assert [
        words for words in ("The cause says it", "search it for", "tests/unit/", "No test names it") if words in text
    ] == []
    assert "This comparison is called the referee" in pages()[f"{FOLDER}/index.md"]


def test_every_line_of_the_log_has_one_meaning() -> None:
    said = [message for message in messages() if message.kind == SAID]
    owners = {key: [message for message in said if any(key in line for line in message.lines)] for key in SAID_LINES}
    assert [key for key, found in owners.items() if len(found) != 1] == []
    assert [message.title for message in said if not any(message in found for found in owners.values())] == []


def test_every_row_about_provoking_is_of_a_message() -> None:
    texts = [(" ".join((*item.logged, *item.reasons)), " ".join(item.reasons)) for item in messages()]
    for part in (*BY_HAND, *NEVER):
        first, second = part if isinstance(part, tuple) else (part, "")
        assert any(first in text and second in reasons for text, reasons in texts), part


def test_every_damage_of_an_example_is_told_in_words() -> None:
    told = {example.case: words_of(example.case) for example in read_examples(ROOT)}
    assert [
        case for case, words in told.items() if words == case or words.endswith(f"({case.partition('/')[0]})")
    ] == []


def test_a_meaning_of_a_line_is_for_the_line_that_fits_it() -> None:
    [message] = [message for message in messages() if "ftrace bug" in message.title]
    assert "Initializing ftrace call sites" in message.also
    assert message.reasons == (SAID_LINES["ftrace bug"].why,)


def test_a_line_with_several_reasons_is_a_message_for_each() -> None:
    rejected = [message for message in messages() if message.title.startswith("Loading of ")]
    assert [(message.errnos, len(message.reasons), len(message.hints)) for message in rejected] == [
        (("EKEYREJECTED",), 1, 1)
    ] * 3
    assert len({message.hints for message in rejected}) == 3


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


def test_an_example_of_another_machine_is_none() -> None:
    message = Message(REFUSED, ("ENOEXEC",), (), ("it has no x",), (), (), "kbuildpy/loader/machines/arm64/frob.py", 1)
    kernels = ("arm64", "6.12-arm64", "6.12", "6.12-riscv64", "s390x")
    examples = [Example(kernel, "a case", "ENOEXEC", "f", "", "it has no x") for kernel in kernels]
    assert [example.kernel for example in examples if fits(message, example)] == ["arm64", "6.12-arm64"]


# --- Commands, builders, variables


@pytest.mark.parametrize("name", cli.COMMANDS)
def test_a_command_has_two_examples_and_all_its_options(name: str) -> None:
    _, examples = epilog_of(name)
    assert len(examples) >= 2
    page = commands()[f"docs/reference/commands/{name}.md"]
    assert "SUPPRESS" not in page
    source = re.sub(r"\n.*help=argparse.SUPPRESS.*", "", (ROOT / f"kbuildpy/cli/{name}.py").read_text())
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


def test_every_errno_of_a_refusal_has_the_words_of_insmod_and_a_meaning() -> None:
    page = pages()[f"{TOOLS}.md"]
    refused = {errno for message in messages() if message.kind == REFUSED for errno in message.errnos}
    assert refused - set(ERRNOS) == {"ENOSYS", "EWOULDBLOCK"}, "those are of rmmod"
    unlisted = [errno for errno in ERRNOS if f"({errno})\n" not in page]
    assert unlisted == []
    # (a module's own init function says this; the loader does not)
    linkless = [part.partition("\n")[0] for part in page.split("\n## ")[1:] if "](#" not in part]
    assert linkless == ["`No such device` (ENODEV)"]
