# SPDX-License-Identifier: GPL-2.0-only
"""The page of `kbuildpy check`: what it shows is what the JSON of the same call says, also in a browser."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from kbuildpy.kernel.errnos import errno_words
from kbuildpy.kernel.tree import KernelTree
from kbuildpy.loader.load_module import STAGE_LISTS
from kbuildpy.loader.reports.page import as_page
from kbuildpy.loader.reports.stage_words import STAGE_WORDS
from kbuildpy.loader.verdict import Verdict
from tests.support.command_line import call
from tests.support.kernel_trees import TREES, usual_tree
from tests.support.samples import built_samples
from tests.support.standalone_pages import (
    CHROMIUM,
    Page,
    browse,
    check_stands_alone,
    pictures_in,
    texts_of,
    titles_of,
)

pytestmark = pytest.mark.parity

FILES = 6
ENDS = {"cut.ko": ("elf_validity_check", "elf_validity_cache_copy"), "params.ko": (None, "elf_validity_cache_copy")}
"""The function of load_module() in which a file is refused, up to 6.3 and from then on; None for one that is taken."""

SHOWN: dict[str, Callable[[dict[str, Any]], str | None]] = {
    "name": lambda verdict: verdict["name"],
    "errno": lambda verdict: verdict["errno"] and errno_words(verdict["errno"]),
    "log": lambda verdict: verdict["log"] or ("(nothing)" if verdict["stage"] else ""),
    "stage": lambda verdict: verdict["stage"],
    "reason": lambda verdict: verdict["reason"],
    "hint": lambda verdict: verdict["hint"],
    "warnings": lambda verdict: "\n".join(verdict["warnings"]),
    "taints": lambda verdict: verdict["taints"] or ("none" if verdict["accepted"] else ""),
    "module_taints": lambda verdict: verdict["module_taints"],
    "requires": lambda verdict: "\n".join(verdict["requires"]) or ("nothing" if verdict["accepted"] else ""),
    "size": lambda verdict: "" if verdict["size"] is None else f"{verdict['size']:,} bytes",
    "unchecked": lambda verdict: "\n".join(verdict["unchecked"]),
}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Modules that are taken, that are refused, and a file that cannot be read."""
    place = tmp_path_factory.mktemp("modules")
    for file in built_samples(usual_tree(), tmp_path_factory):
        if file.name in ("exporter.ko", "exporter_user.ko", "params.ko"):
            (place / file.name).write_bytes(file.read_bytes())
    whole = (place / "params.ko").read_bytes()
    (place / "cut.ko").write_bytes(whole[:3000])
    (place / "other<b>.ko").write_bytes(re.sub(rb"vermagic=\d", b"vermagic=<", whole))
    (place / "packed.ko.xz").write_bytes(b"\xfd7zXZ\0\0\4")
    return place


def checked(place: Path, *words: str, trees: Sequence[KernelTree] = TREES) -> tuple[list[dict[str, Any]], str]:
    """The verdicts as JSON, and the page of the same call."""
    kernels = [word for tree in trees for word in ("-k", str(tree.objects))]
    as_json, as_html = (call("check", ".", *kernels, *words, "--format", form, cwd=place) for form in ("json", "html"))
    assert as_json.returncode == as_html.returncode == 1
    return [json.loads(line) for line in as_json.text.splitlines()], as_html.text


def articles(page: Page) -> list[dict[str, str]]:
    """For each verdict of the page the text of each fact, by its key in JSON, and its stages."""
    found: list[dict[str, str]] = []
    for element in page.elements:
        if element.tag == "article":
            found.append({"hidden": str(element.is_hidden), "kind": element.attributes["class"], "stages": ""})
        elif "data-key" in element.attributes:
            found[-1][element.attributes["data-key"]] = element.text
        elif element.tag == "li":
            found[-1]["stages"] += element.text + "\n"
    return found


def test_the_page_shows_what_the_json_says(place: Path) -> None:
    verdicts, text = checked(place)
    check_stands_alone(text)
    shown = articles(Page(text))
    assert len(shown) == len(verdicts) == FILES * len(TREES)
    assert {verdict["accepted"] for verdict in verdicts} == {True, False}
    for verdict, facts in zip(verdicts, shown, strict=True):
        assert (facts["file"], facts["kernel"]) == (verdict["file"], verdict["kernel"])
        assert facts["kind"] == ("passed" if verdict["accepted"] else "failed")
        for key, words in SHOWN.items():
            assert facts.get(key, "") == (words(verdict) or ""), (verdict["file"], key)


def test_the_stages_stand_in_order_and_the_one_that_refused_is_marked(place: Path) -> None:
    verdicts, text = checked(place)
    for verdict, facts in zip(verdicts, articles(Page(text)), strict=True):
        lines = facts["stages"].splitlines()
        assert len(lines) == len(verdict["stages"])
        refused = [line for line in lines if "refused here" in line]
        assert len(refused) == bool(verdict["stage"])
        for line, (name, word) in zip(lines, verdict["stages"], strict=True):
            assert name in line.split() and line.endswith({"ended": "refused here"}.get(word, word))
        words = [word for _, word in verdict["stages"]]
        assert words == sorted(words, key=["passed", "ended", "not reached"].index)
        # (the function that refused is that stage, or one that it calls)
        assert not verdict["stage"] or f"{verdict['stage']}" in refused[0]
        assert not verdict["accepted"] or {*words} == {"passed"}
        # (as the kernels' sources have it)
        ended = next((name for name, word in verdict["stages"] if word == "ended"), None)
        if verdict["file"] in ENDS and verdict["stages"]:
            assert ended in ENDS[verdict["file"]]


def test_the_pictures_of_memory_have_each_section_with_its_size(place: Path) -> None:
    verdicts, text = checked(place)
    laid_out = [verdict for verdict in verdicts if any(verdict["memory"].values())]
    pictures = pictures_in(text)
    assert len(pictures) == len(laid_out) > 2
    for verdict, picture in zip(laid_out, pictures, strict=True):
        titles, texts = titles_of(picture), texts_of(picture)
        beside = [*pairwise(texts)]
        for section, memory, offset, size in verdict["sections"]:
            if size and memory != "percpu":
                assert any(title.startswith(f"{section}: {size:,} bytes at {offset:#x}") for title in titles), section
                # (long names are cut)
                assert any(name.startswith(section[:18]) and shown == f"{size:,}" for name, shown in beside), section
        for kind, size in verdict["memory"].items():
            fate = "freed when init is over" if kind.startswith("init") else "stays"
            assert not size or f"{kind}: {size:,} bytes, {fate}" in texts


def test_quiet_leaves_out_files_that_every_kernel_takes(place: Path) -> None:
    verdicts, text = checked(place, "-q", trees=[usual_tree()])
    shown = articles(Page(text))
    assert [facts["file"] for facts in shown] == [verdict["file"] for verdict in verdicts if not verdict["accepted"]]
    assert {facts["file"] for facts in shown} == {"cut.ko", "packed.ko.xz"}


def test_one_module_and_one_kernel_are_a_page_without_a_script(place: Path) -> None:
    done = call("check", "params.ko", "-k", str(usual_tree().objects), "--format", "html", cwd=place)
    assert done.returncode == 0
    page = Page(done.text)
    assert not page.all("script") and not page.all("input") and len(page.all("article")) == 1
    [heading] = page.all("h1")
    assert heading.text == f"params.ko and {usual_tree().release}: accepted"


def test_each_stage_is_put_in_words() -> None:
    assert STAGE_WORDS.keys() >= {name for names in STAGE_LISTS for name in names}
    assert all(len(names) == len({*names}) for names in STAGE_LISTS)


def test_a_page_of_many_modules_leaves_out_the_stages_of_most() -> None:
    names = STAGE_LISTS[0]
    verdicts = [
        [Verdict(f"{number}.ko", "6.1", "m", accepted=number != 150, stages=names, passed=len(names) - (number == 150))]
        for number in range(160)
    ]
    shown = articles(Page(as_page(verdicts)))
    assert [number for number, facts in enumerate(shown) if facts["stages"]] == [*range(100), 150]
    assert "Only the first 100 accepted modules" in as_page(verdicts)
    assert "Only the first" not in as_page(verdicts[:100])


@pytest.mark.skipif(not CHROMIUM, reason="Chromium is not installed")
def test_a_browser_filters_by_words_and_by_outcome(place: Path, tmp_path: Path) -> None:
    _, text = checked(place)
    page = browse(text, tmp_path, then="words.value = 'EXPORTER'; outcome.value = 'passed'; filter();")
    shown = [facts for facts in articles(page) if facts["hidden"] == "False"]
    assert shown and all("exporter" in facts["file"] and facts["kind"] == "passed" for facts in shown)
    [count] = [element for element in page.elements if element.attributes.get("id") == "count"]
    assert count.text == f"{len(shown)} of {FILES * len(TREES)} shown"
    rows = [row for row in page.all("tr") if row.text.startswith("params.ko")]
    assert rows and all(row.is_hidden for row in rows)
