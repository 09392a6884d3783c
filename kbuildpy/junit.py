# SPDX-License-Identifier: GPL-2.0-only
"""JUnit's XML, which services for continuous integration read: functions that several reports share."""

from __future__ import annotations

import re
from xml.etree import ElementTree

_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""Characters that XML 1.0 cannot hold, not even escaped."""


def xml_text(text: str) -> str:
    """`text` with ? for what XML cannot hold."""
    return _NOT_XML.sub("?", text)


def as_document(root: ElementTree.Element) -> str:
    """The document, indented."""
    ElementTree.indent(root)
    return ElementTree.tostring(root, encoding="unicode", xml_declaration=True)
