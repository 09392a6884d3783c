# SPDX-License-Identifier: GPL-2.0-only
"""The two documents that each Debian package has: copyright, and a changelog (Debian Policy, 12.5 and 12.7)."""

from __future__ import annotations

import gzip
from collections.abc import Sequence
from email.utils import formatdate

from kbuildpy.package.package_names import text_line

_COMMON = {
    "GPL v2": ("GPL-2", "GPL-2"),
    "GPL": ("GPL-2+", "GPL-2"),
    "GPL and additional rights": ("GPL-2+", "GPL-2"),
    "Dual BSD/GPL": ("BSD-3-clause or GPL-2", "GPL-2"),
    "Dual MIT/GPL": ("Expat or GPL-2", "GPL-2"),
    "Dual MPL/GPL": ("MPL-1.1 or GPL-2", "GPL-2"),
}
"""What MODULE_LICENSE says, as Debian's copyright files spell it, and where a Debian system has the text
(include/linux/module.h: MODULE_LICENSE)."""


def copyright_file(name: str, licenses: Sequence[str], authors: Sequence[str]) -> str:
    """The text about licences and authors that the modules state, in Debian's format."""
    holders = "\n           ".join(text_line(author) for author in authors) or f"the authors of {name}"
    stated = licenses or ("unknown",)
    words = [_COMMON.get(license, (text_line(license), "")) for license in stated]
    short = " and ".join(dict.fromkeys(word for word, _ in words))
    texts = sorted({text for _, text in words if text})
    lines = [f' The modules state: MODULE_LICENSE("{text_line(license)}").' for license in stated]
    if texts:
        lines.append(" .")
        lines += [
            f" On Debian systems, the text of this licence is in /usr/share/common-licenses/{text}." for text in texts
        ]
    return "\n".join(
        (
            "Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/",
            f"Upstream-Name: {name}",
            "",
            "Files: *",
            f"Copyright: {holders}",
            f"License: {short}",
            *lines,
            "",
        )
    )


def changelog(package: str, version: str, entry: str, maintainer: str, date: int) -> bytes:
    """A changelog of one entry, compressed."""
    text = (
        f"{package} ({version}) unstable; urgency=medium\n\n  * {entry}\n\n"
        f" -- {maintainer}  {formatdate(date, localtime=False).replace('-0000', '+0000')}\n"
    )
    return gzip.compress(text.encode(), 9, mtime=0)
