# SPDX-License-Identifier: GPL-2.0-only
"""Pages (HTML) and pictures (SVG) as a reader's programs take them: an XML parser, an HTML parser, Chromium."""

from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or ""
"""The browser; "" if none is installed."""

_SVG = "{http://www.w3.org/2000/svg}"
_VOID = {"meta", "br", "input", "hr", "img", "link"}


@dataclass
class Element:
    """An element of a page, with all text in it."""

    tag: str
    attributes: dict[str, str]
    parts: list[str] = field(default_factory=list)

    @property
    def text(self) -> str:
        """Its text, with a newline for each <br>."""
        return "".join(self.parts)

    @property
    def is_hidden(self) -> bool:
        """Whether it has the attribute `hidden`."""
        return "hidden" in self.attributes


class Page(HTMLParser):
    """The elements of a page in the order in which they begin. Fails for tags that do not match."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[Element] = []
        self._open: list[Element] = []
        self.feed(text)
        self.close()
        assert [element.tag for element in self._open] == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """(called by the parser)"""
        element = Element(tag, {name: value or "" for name, value in attrs})
        self.elements.append(element)
        if tag == "br":
            self.handle_data("\n")
        if tag not in _VOID:
            self._open.append(element)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """(called by the parser)"""
        self.elements.append(Element(tag, {name: value or "" for name, value in attrs}))

    def handle_endtag(self, tag: str) -> None:
        """(called by the parser)"""
        assert self._open[-1].tag == tag, f"</{tag}> ends <{self._open[-1].tag}>"
        self._open.pop()

    def handle_data(self, data: str) -> None:
        """(called by the parser)"""
        for element in self._open:
            element.parts.append(data)

    def all(self, tag: str) -> list[Element]:
        """All elements of a kind."""
        return [element for element in self.elements if element.tag == tag]

    def rows(self) -> list[list[str]]:
        """The texts of the cells of all rows of tables, head rows included."""
        found: list[list[str]] = []
        for element in self.elements:
            if element.tag == "tr":
                found.append([])
            elif element.tag in ("td", "th"):
                found[-1].append(element.text)
        return found


def check_stands_alone(text: str) -> None:
    """Fail for a page or picture that refers to anything outside of itself. (Links to places within it are none.)"""
    found = re.findall(r"""(?:https?:|//\w|src=|href="(?!#)|url\(|@import|<link)[^"'<> ]*""", text)
    assert {*found} <= {"http://www.w3.org/2000/svg"}


def pictures_in(text: str) -> list[ElementTree.Element]:
    """The pictures in a page, or the picture itself: each is well-formed XML, has a title and a description, and names
    no element twice."""
    found = [ElementTree.fromstring(part) for part in re.findall(r"<svg .*?</svg>", text, re.DOTALL)]
    for picture in found:
        assert picture.tag == f"{_SVG}svg" and picture.get("role") == "img"
        assert [child.tag for child in picture][:2] == [f"{_SVG}title", f"{_SVG}desc"]
        assert all((picture[number].text or "").strip() for number in (0, 1))
    identities = re.findall(r' id="([^"]*)"', text)
    assert len(identities) == len({*identities})
    return found


def titles_of(picture: ElementTree.Element) -> list[str]:
    """What a pointer shows in a picture, besides the title of the whole."""
    return [title.text or "" for group in picture.iter(f"{_SVG}g") for title in group.findall(f"{_SVG}title")]


def texts_of(picture: ElementTree.Element) -> list[str]:
    """The lines of text in a picture."""
    return [item.text or "" for item in picture.iter(f"{_SVG}text")]


def browse(page: str, scratch: Path, *, then: str = "") -> Page:
    """`page` as Chromium has it in the end. `then` is JavaScript that runs after the page's own."""
    file = scratch / "page.html"
    file.write_text(page.replace("</script>\n</body>", f"{then}\n</script>\n</body>") if then else page)
    argv = [CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={scratch / 'chromium'}"]
    done = subprocess.run(
        [*argv, "--dump-dom", file.as_uri()], capture_output=True, timeout=300, check=True, stdin=subprocess.DEVNULL
    )
    return Page(done.stdout.decode())
