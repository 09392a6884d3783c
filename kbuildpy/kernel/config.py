# SPDX-License-Identifier: GPL-2.0-only
"""The kernel's configuration as its build tree records it."""

from __future__ import annotations

import re
from pathlib import Path

_LINE = re.compile(r"^(CONFIG_[^=\n]*)=(.*)$", re.MULTILINE)


def read_auto_conf(path: Path) -> dict[str, str]:
    """Read an `auto.conf`: `CONFIG_X` to its value; quotes around strings are taken off.

    A file that is not there is an empty configuration. (scripts/kconfig/confdata.c: conf_write_autoconf)
    """
    try:
        text = path.read_text(errors="surrogateescape")
    except FileNotFoundError:
        return {}
    return parse_config(text)


def parse_config(text: str) -> dict[str, str]:
    """The same of the text of an `auto.conf` or a `.config`."""
    values: dict[str, str] = dict(_LINE.findall(text))
    for name, value in values.items():
        if len(value) >= 2 and value[0] == value[-1] == '"':
            values[name] = value[1:-1].replace('\\"', '"').replace("\\\\", "\\")
    return values
