# SPDX-License-Identifier: GPL-2.0-only
"""The documentation site: it builds without a warning, its links lead somewhere, its reference has what the code has,
and a browser shows it: small and large, dark and light, searchable, alone, without an error of accessibility."""

from __future__ import annotations

import json
import re
import sys
import threading
from collections.abc import Iterator
from functools import partial
from html.parser import HTMLParser
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from importlib import resources
from pathlib import Path
from urllib.parse import quote_plus, unquote, urlsplit

import pytest

from kbuildpy import cli
from kbuildpy.run import run
from kbuildpy.scaffold.library import all_templates
from kbuildpy.scons import BUILDERS
from kbuildpy.scons.variables import KNOWN_NAMES
from tests.support.browser import Browser, Page, needs_chromium, running_browser
from tests.support.documents import ROOT

pytestmark = [pytest.mark.parity, pytest.mark.sweep]

MESSAGE = "Invalid relocation target, existing value is nonzero"
LINES = {
    f"mymod: {MESSAGE} for type 10, loc 00000000deadbeef, val ffffffffc0000000": ("machines-x86-64-relocate", MESSAGE),
    "[   12.345678] x86/modules: Skipping invalid relocation target, existing value is nonzero for type 1, loc "
    "00000000f00dfeed, val ffffffffc0123456": ("machines-x86-64-relocate", MESSAGE),
    "module: overflow in relocation type 11 val ffffffff81234567": (
        "machines-x86-64-relocate",
        "overflow in relocation type",
    ),
    "[  845.120034] frob: Unknown symbol frobnicate_all (err -2)": ("stages-symbols", "Unknown symbol"),
    "frob: module uses symbol (dma_buf_get) from namespace DMA_BUF, but does not import it.": (
        "stages-symbols",
        "but does not import it",
    ),
    "wl: exports duplicate symbol cfg80211_init (owned by cfg80211)": ("stages-symbols", "exports duplicate symbol"),
    "frob: version magic '6.1.0-9-amd64 SMP mod_unload modversions ' should be '6.12.117+deb12-amd64 SMP preempt "
    "mod_unload modversions '": ("stages-modinfo", "version magic"),
    "nvidia: module license 'NVIDIA' taints kernel.": ("stages-modinfo", "taints kernel"),
    "frob: `abc' invalid for parameter `number'": ("parameters-parse-args", "invalid for parameter"),
    "percpu: allocation failed, size=20000 align=8 atomic=0, alloc from reserved chunk failed": (
        "stages-sections",
        "alloc from reserved chunk failed",
    ),
    "failed to validate module [frob] BTF: -22": ("", "failed to validate module"),
    "frob: Symbol lost has an invalid section index 40 (max 39)": ("stages-symbols", "has an invalid section index"),
    "insmod: ERROR: could not insert module frob.ko: Unknown symbol in module": ("insmod", "Unknown symbol in module"),
    "modprobe: ERROR: could not insert 'frob': Exec format error": ("insmod", "Exec format error"),
    "Key was rejected by service": ("insmod", "Key was rejected by service"),
}
"""Lines of logs and tools as they are, with names and numbers: part of the page that explains each, and words of the
message."""
SIZES = {"small": (360, 740), "large": (1440, 900)}
LOOKED_AT = (
    "index.html",
    "docs/tutorial.html",
    "docs/build.html",
    "docs/how-to/continuous-integration.html",
    "docs/comparisons.html",
    "docs/explanations/pipeline.html",
    "docs/reference/commands/check.html",
    "docs/reference/builders.html",
    "docs/reference/variables.html",
    "docs/reference/loader-messages/machines-x86-64-relocate.html",
    "search.html",
)
"""A page of each kind."""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, built as `./run docs` does; a warning of Sphinx's fails."""
    out = tmp_path_factory.mktemp("site") / "docs"
    run([sys.executable, "-m", "docs.site", out], cwd=ROOT, timeout=600)
    return out


class Links(HTMLParser):
    """The links of a page, the anchors that it has, and what it loads by itself."""

    def __init__(self, page: Path) -> None:
        super().__init__()
        self.links: set[str] = set()
        self.anchors: set[str] = set()
        self.loaded: set[str] = set()
        self.feed(page.read_text())

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        found = {name: value or "" for name, value in attributes}
        self.anchors |= {found[name] for name in ("id", "name") if name in found}
        if tag == "a" and "href" in found:
            self.links.add(found["href"])
        elif "src" in found:
            self.loaded.add(found["src"])
        elif tag == "link" and "href" in found:
            self.loaded.add(found["href"])


@pytest.fixture(scope="module")
def pages(site: Path) -> dict[Path, Links]:
    return {page: Links(page) for page in site.rglob("*.html")}


def test_each_link_leads_to_a_page_and_a_place_in_it(pages: dict[Path, Links]) -> None:
    broken = []
    for page, found in pages.items():
        for link in found.links | found.loaded:
            address = urlsplit(link)
            if address.scheme:
                continue
            target = (page.parent / unquote(address.path)).resolve() if address.path else page
            if target.is_dir():
                target /= "index.html"
            known = pages.get(target)
            wanted = unquote(address.fragment)
            if not target.is_file() or (known and wanted and wanted not in known.anchors):
                broken.append(f"{page.name}: {link}")
    assert len(pages) > 100
    assert broken == []


def test_each_line_that_the_search_takes_leads_to_a_place_in_a_page(site: Path, pages: dict[Path, Links]) -> None:
    script = (site / "_static/loader_lines.js").read_text()
    rows = json.loads(script[script.index("[") : script.rindex(";")])
    broken = []
    for _, address, *_ in rows:
        page, _, anchor = address.partition("#")
        if anchor not in pages[site / page].anchors:
            broken.append(address)
    assert len(rows) > 300
    assert broken == []


def test_nothing_is_loaded_from_elsewhere(pages: dict[Path, Links]) -> None:
    assert {
        link for found in pages.values() for link in found.loaded if urlsplit(link).scheme not in ("", "data")
    } == set()


def test_the_reference_has_every_command_builder_variable_and_template(site: Path) -> None:
    reference = site / "docs/reference"
    assert {page.stem for page in (reference / "commands").glob("*.html")} == {*cli.COMMANDS, "index"}
    builders, variables, templates = (
        (reference / f"{name}.html").read_text() for name in ("builders", "variables", "templates")
    )
    assert [name for name in BUILDERS if f"<h2>{name}<" not in builders] == []
    assert [name for name in KNOWN_NAMES if f">{name}</span></code></dt>" not in variables] == []
    assert [name for name in all_templates() if f"<h2>{name}<" not in templates] == []


# --- In a browser


@pytest.fixture(scope="module")
def address(site: Path) -> Iterator[str]:
    """Where the site is served."""
    handler = partial(Quiet, directory=str(site))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


class Quiet(SimpleHTTPRequestHandler):
    """A server that does not log."""

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with running_browser(tmp_path_factory.mktemp("browser")) as found:
        yield found


@pytest.fixture
def tab(browser: Browser) -> Iterator[Page]:
    """A tab, which must stay on this machine."""
    page = browser.page()
    yield page
    away = {url for url in page.requests if urlsplit(url).hostname not in (None, "127.0.0.1")}
    page.close()
    assert page.requests
    assert away == set()
    assert page.complaints == []


@needs_chromium
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("size", SIZES)
def test_pages_fit_the_screen_and_have_no_error_of_accessibility(
    size: str, dark: bool, tab: Page, address: str
) -> None:
    axe = resources.files("axe_core_python").joinpath("axe.min.js").read_text()
    width, height = SIZES[size]
    tab.looks(width=width, height=height, dark=dark)
    found = []
    for name in LOOKED_AT:
        tab.open(f"{address}/{name}")
        # Wide tables and code scroll by themselves, the page does not.
        wide = tab.evaluate("document.documentElement.scrollWidth")
        if wide > width:
            found.append(f"{name}: {wide} pixels wide")
        background = tab.evaluate("getComputedStyle(document.body).backgroundColor")
        red, green, blue = map(int, re.findall(r"\d+", background)[:3])
        assert (red + green + blue < 300) is dark, background
        tab.evaluate(f"{axe};0")
        for violation in tab.evaluate("axe.run(document).then(result => result.violations)"):
            nodes = "; ".join(
                f"{node['html'][:100]} ({node['failureSummary'][:200]})" for node in violation["nodes"][:2]
            )
            found.append(f"{name}: {violation['id']}: {nodes}")
    assert found == []


def search(tab: Page, address: str, words: str) -> list[str]:
    """The pages that the site's search finds, the best one first."""
    tab.looks(width=1440, height=900, dark=False)
    tab.open(f"{address}/search.html?q={quote_plus(words)}")
    # (the results appear one after the other)
    tab.wait("document.querySelector('#search-results .search-summary')?.innerText.includes('finished')")
    found: list[str] = tab.evaluate("[...document.querySelectorAll('#search-results ul.search li a')].map(a => a.href)")
    return found


@needs_chromium
def test_the_search_finds_a_message_of_the_loader(tab: Page, address: str) -> None:
    results = search(tab, address, MESSAGE)
    tab.open(results[0])
    assert MESSAGE in tab.evaluate("document.body.innerText")
    assert "loader-messages/machines-x86-64-relocate" in results[0]


@needs_chromium
@pytest.mark.parametrize("line", LINES)
def test_the_search_takes_a_line_of_a_log_as_it_is(line: str, tab: Page, address: str) -> None:
    page, words = LINES[line]
    first = search(tab, address, line)[0]
    assert f"loader-messages/{page}" in first
    tab.open(first)
    section = f"document.getElementById({urlsplit(first).fragment!r}).closest('section')"
    assert words in tab.evaluate(f"{section}.innerText")


@needs_chromium
def test_the_search_does_without_words_that_no_page_has(tab: Page, address: str) -> None:
    results = search(tab, address, "xyzzymod relocation nonzero cafebabe1234")
    assert any("loader-messages/machines-x86-64-relocate" in result for result in results)


@needs_chromium
def test_a_word_of_a_search_that_an_icon_is_called_after_is_marked_in_the_page(tab: Page, address: str) -> None:
    search(tab, address, "module mode")
    tab.open(f"{address}/docs/tutorial.html")
    tab.wait("document.querySelector('article .highlighted')")


@needs_chromium
def test_the_picture_of_the_pipeline_is_shown(tab: Page, address: str) -> None:
    tab.looks(width=1440, height=900, dark=True)
    tab.open(f"{address}/docs/explanations/pipeline.html")
    [[width, height]] = tab.evaluate(
        "[...document.querySelectorAll('article img')].map(i => [i.naturalWidth, i.width])"
    )
    assert width > 0 and height > 300
