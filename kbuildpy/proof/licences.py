# SPDX-License-Identifier: GPL-2.0-only
"""Licences, as sources and modules state them, in the expressions of SPDX.

A source states its licence in a comment (Documentation/process/license-rules.rst). MODULE_LICENSE() tells the loader
only whether symbols for GPL modules may be used: "GPL" does not say which version. So sources come first.
"""

from __future__ import annotations

import re
from pathlib import Path

_HEAD = 4096
"""Bytes at the beginning of a file in which the line is looked for."""
# (spelled in two parts, so that this file does not state a second licence for itself)
_LINE = re.compile(rb"SPDX-" rb"License-Identifier:[ \t]*([^\r\n]*)")
_END = re.compile(r"\s*(?:\*/|-->|#}|\*\)).*$")
_EXPRESSION = re.compile(r"[A-Za-z0-9.+()\s:-]{1,200}")
_OF_MODULE = {
    "GPL": "GPL-2.0-only",
    "GPL v2": "GPL-2.0-only",
    "GPL and additional rights": "GPL-2.0-only",
    "Dual BSD/GPL": "BSD-3-Clause OR GPL-2.0-only",
    "Dual MIT/GPL": "MIT OR GPL-2.0-only",
    "Dual MPL/GPL": "MPL-1.1 OR GPL-2.0-only",
}
"""What MODULE_LICENSE() says (include/linux/module.h), and the least that it means."""


def stated_licence(path: str) -> str:
    """The licence that the source `path` states; "" for none."""
    try:
        with open(path, "rb") as file:  # noqa: PTH123 - a thousand calls for a module
            found = _LINE.search(file.read(_HEAD))
    except OSError:
        return ""
    if found is None:
        return ""
    text = " ".join(_END.sub("", found[1].decode("ascii", "replace")).split())
    return text if _EXPRESSION.fullmatch(text) and text.count("(") == text.count(")") else ""


def module_licence(stated: str) -> str:
    """The expression for what MODULE_LICENSE() says; `LicenseRef-...` for what no list of licences has."""
    known = _OF_MODULE.get(stated.strip())
    return known or f"LicenseRef-{re.sub(r'[^A-Za-z0-9.-]+', '-', stated.strip()).strip('-') or 'none'}"


def all_of(expressions: list[str]) -> str:
    """One expression that says that each of `expressions` holds, for another part of a work; "" for none."""
    parts = sorted({item for item in expressions if item})
    if len(parts) == 1:
        return parts[0]
    return " AND ".join(f"({item})" if re.search(r"\b(?:OR|AND)\b", item) else item for item in parts)


def references(expression: str) -> list[str]:
    """The `LicenseRef-...` in an expression."""
    return sorted({*re.findall(r"LicenseRef-[A-Za-z0-9.-]+", expression)})


def is_source_text(path: str) -> bool:
    """Whether a file may state a licence in a comment."""
    return Path(path).suffix in (".c", ".h", ".S", ".rs", ".mk", ".lds", "") or Path(path).name.startswith("Makefile")
