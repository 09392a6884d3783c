# SPDX-License-Identifier: GPL-2.0-only
"""Reads the project's documents: code blocks, paths that they name, tables."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
_AT_THE_ROOT = ("README.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md")
DOCUMENTS = tuple(
    sorted([*(ROOT / name for name in _AT_THE_ROOT), ROOT / "tests/README.md", *(ROOT / "docs").rglob("*.md")])
)
_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
_PATH = re.compile(r"(?:kbuildpy|release|tests|templates|sample_modules|site_scons|docs|\.github)/[\w./-]+")


def fenced_blocks(document: Path, language: str) -> list[str]:
    """The code between fences that name `language`."""
    return [text for found, text in _FENCE.findall(document.read_text()) if found == language]


def shell_lines(document: Path) -> list[str]:
    """The lines of indented code, without `$ ` and without comments at their ends."""
    lines = re.findall(r"^ {4,}(\S.*)$", _FENCE.sub("", document.read_text()), re.MULTILINE)
    return [re.split(r"\s+#", line.removeprefix("$ "))[0].strip() for line in lines]


def named_paths(document: Path) -> set[str]:
    """The paths of this project in backticks."""
    prose = _FENCE.sub("", document.read_text())
    words = (word for span in re.findall(r"`([^`]+)`", prose) for word in span.split())
    return {word for word in words if _PATH.fullmatch(word)}


def linked_paths(document: Path) -> set[str]:
    """The files that links lead to, as they are written."""
    return {link for link in re.findall(r"\]\(([^)#]+)\)", document.read_text()) if "://" not in link}


def table_rows(document: Path, heading: str) -> list[list[str]]:
    """The rows of all tables below `heading` (with its #s), up to the next heading of its level or above."""
    rest = document.read_text().split(f"\n{heading}\n", 1)[1]
    section = re.split(rf"^#{{2,{len(heading.split()[0])}}} ", rest, maxsplit=1, flags=re.MULTILINE)[0]
    rows = [line.strip("|").split(" | ") for line in section.splitlines() if line.startswith("| `")]
    return [[cell.strip(" |") for cell in row] for row in rows]


def json_keys(command: str) -> set[str]:
    """The keys that docs/json.md explains below the heading `command`."""
    rows = table_rows(ROOT / "docs/json.md", f"## {command}")
    return {key for row in rows for key in re.findall(r"`(\w+)`", row[0])}
