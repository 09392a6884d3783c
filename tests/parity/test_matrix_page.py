# SPDX-License-Identifier: GPL-2.0-only
"""The page of a matrix in a real browser: Chromium builds it, filters it, and shows a reason."""

from __future__ import annotations

import re
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path

import pytest

from kbuildpy.fleet.overview import overview_of
from kbuildpy.fleet.page import as_page
from kbuildpy.fleet.record import Record

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or ""

pytestmark = [pytest.mark.parity, pytest.mark.skipif(not CHROMIUM, reason="Chromium is not installed")]

MODULES = [f"module_{number:04}" for number in range(1000)]
KERNELS = [f"6.{line}.0-{abi}-amd64" for line in (1, 12) for abi in range(25)]


class Dom(HTMLParser):
    """What a browser made of the page: texts by id, and the rows and columns that it shows."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.texts: dict[str, str] = {}
        self.rows: list[list[str]] = []
        self.hidden: set[str] = set()
        self._ids: list[str] = []
        """Of the elements that are open, "" for those without."""
        self._row: list[str] | None = None
        self._shown = False
        self.feed(text)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        found = dict(attributes)
        if tag not in ("meta", "input"):
            self._ids.append(found.get("id") or "")
            if "hidden" in found:
                self.hidden.add(self._ids[-1])
        if tag == "tr":
            self._row = None if "hidden" in found else []
            if self._row is not None:
                self.rows.append(self._row)
        if tag in ("th", "td") and self._row is not None:
            self._shown = "hidden" not in found
            if self._shown:
                self._row.append("")

    def handle_endtag(self, tag: str) -> None:
        self._ids.pop()

    def handle_data(self, data: str) -> None:
        for name in filter(None, self._ids):
            self.texts[name] = self.texts.get(name, "") + data
        if self._row and self._shown:
            self._row[-1] += data


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    records = []
    for y, module in enumerate(MODULES):
        for x, kernel in enumerate(KERNELS):
            fails = y % 10 == 3 and x >= 25
            reason = f'no symbol <b>"gone"</b> & more in {kernel}' if fails else ""
            status = "failed" if fails else "skipped" if y == 7 else "passed"
            records.append(Record(kernel, kernel, "/src/m", module, "check", status, reason, "build it again"))
    path = tmp_path_factory.mktemp("page") / "page.html"
    path.write_text(as_page(overview_of(records, KERNELS), "1000 modules, 50 kernels"))
    return path


def browse(page: Path, state: str, scratch: Path) -> Dom:
    """The page as Chromium shows it with `state` behind the #."""
    argv = [CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={scratch}", "--dump-dom"]
    done = subprocess.run(
        [*argv, f"{page.as_uri()}#{state}"], capture_output=True, timeout=120, check=True, stdin=subprocess.DEVNULL
    )
    return Dom(done.stdout.decode())


def test_all_is_shown(page: Path, tmp_path: Path) -> None:
    dom = browse(page, "", tmp_path)
    assert dom.texts["count"] == "1000 of 1000 modules, 50 of 50 kernels"
    assert len(dom.rows) == 1001 and {len(row) for row in dom.rows} == {51}
    assert dom.rows[0] == ["module", *KERNELS]
    assert dom.rows[4] == ["module_0003", *["\u2713"] * 25, *["\u2717"] * 25]
    assert "detail" in dom.hidden
    assert page.stat().st_size < 2_000_000


def test_filters_and_a_click_are_in_the_address(page: Path, tmp_path: Path) -> None:
    dom = browse(page, "modules=E_00&kernels=6.12&status=f&at=13,30", tmp_path)
    assert dom.texts["count"] == "10 of 1000 modules, 25 of 50 kernels"
    assert [row[0] for row in dom.rows[1:]] == [f"module_00{number}3" for number in range(10)]
    assert dom.rows[0][1:] == KERNELS[25:]
    assert dom.texts["what"] == f"module_0013 with {KERNELS[30]}"
    assert dom.texts["said"] == f'check: failed: no symbol <b>"gone"</b> & more in {KERNELS[30]}hint: build it again'
    assert "detail" not in dom.hidden


def test_skipped_modules_are_found(page: Path, tmp_path: Path) -> None:
    dom = browse(page, "status=s", tmp_path)
    assert [row[0] for row in dom.rows[1:]] == ["module_0007"]


def test_colours_are_no_red_beside_green(page: Path) -> None:
    # Of two colours that people with a weak sense of red or green tell apart, one is blue.
    text = page.read_text()
    for passed, failed in zip(
        re.findall(r"--passed: #(\w+)", text), re.findall(r"--failed: #(\w+)", text), strict=True
    ):
        ours, theirs = ([int(colour[at : at + 2], 16) for at in (0, 2, 4)] for colour in (passed, failed))
        assert max(ours) == ours[2] and max(theirs) == theirs[0] and theirs[2] < 100
