# SPDX-License-Identifier: GPL-2.0-only
"""Links of the documents on the site: named by the title of what they lead to, and leading where they led."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from docs.site.assemble import own_documents
from docs.site.link_titles import with_titles
from tests.support.documents import ROOT

markdown_it = pytest.importorskip("markdown_it", reason="a reader of Markdown comes with the tools of the site")


def links(text: str) -> Iterator[tuple[str, str]]:
    """Where each link leads, and its text, as another reader of Markdown finds them."""
    parser = markdown_it.MarkdownIt("commonmark").enable("table")
    for block in parser.parse(text):
        target, words = "", ""
        for token in block.children or ():
            if token.type == "link_open":
                target, words = str(token.attrs["href"]), ""
            elif token.type == "link_close":
                yield target, words
            else:
                words += token.content or " "


def first_heading(name: str) -> str:
    """The title of a document, as that reader finds it, without its marks of code."""
    tokens = markdown_it.MarkdownIt("commonmark").parse((ROOT / name).read_text())
    at = next(number for number, token in enumerate(tokens) if token.type == "heading_open")
    return "".join(token.content for token in tokens[at + 1].children or ())


@pytest.mark.parametrize("name", own_documents(ROOT))
def test_no_link_of_the_site_is_named_by_a_file(name: str) -> None:
    before, after = list(links((ROOT / name).read_text())), list(links(with_titles(ROOT, name)))
    assert [target for target, _ in after] == [target for target, _ in before]
    for (target, words), (_, had) in zip(after, before, strict=True):
        assert not re.fullmatch(r"\S+\.md", words)
        if had.endswith(".md") and "#" not in target:
            place = ((ROOT / name).parent / target).resolve().relative_to(ROOT.resolve())
            assert words == first_heading(str(place))
        elif words != had:
            assert had.endswith(".md") and "#" in target


def test_a_link_to_a_part_of_a_page_has_the_title_of_that_part() -> None:
    found = dict(links(with_titles(ROOT, "docs/abi.md")))
    assert found["json.md#kbuildpy-preflight"] == "kbuildpy preflight"
