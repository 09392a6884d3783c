# SPDX-License-Identifier: GPL-2.0-only
"""Where a distribution's DKMS installs modules, whatever DEST_MODULE_LOCATION says."""

from __future__ import annotations

import re
from pathlib import Path

_UPDATES_DKMS = ("debian", "ubuntu", "arch")
_EXTRA = ("fedora", "rhel", "ovm")
_UPDATES = ("sles", "suse", "opensuse")


def distribution(etc: Path = Path("/etc")) -> str:
    """The word that DKMS knows the distribution by: ID_LIKE's of os-release(5), else ID; `ubuntu` for Ubuntu."""
    try:
        text = (etc / "os-release").read_text(errors="replace")
    except OSError:
        return "unknown"
    fields: dict[str, str] = dict(re.findall(r"""^(ID|ID_LIKE)=["']?([^"'\n]*)["']?$""", text, re.MULTILINE))
    identity = fields.get("ID", "unknown")
    return identity if identity == "ubuntu" else fields.get("ID_LIKE") or identity


def destination(location: str, distribution: str) -> str:
    """The folder below /lib/modules/RELEASE, with a slash before it, for a module with this DEST_MODULE_LOCATION."""
    for names, place in ((_EXTRA, "/extra"), (_UPDATES, "/updates"), (_UPDATES_DKMS, "/updates/dkms")):
        if distribution.startswith(names):
            return place
    return location
