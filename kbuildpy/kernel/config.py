"""The kernel's configuration as its build tree records it."""

from __future__ import annotations

from pathlib import Path


def read_auto_conf(path: Path) -> dict[str, str]:
    """Read an `auto.conf`: `CONFIG_X` to its value; quotes around strings are taken off.

    A file that is not there is an empty configuration. (scripts/kconfig/confdata.c: conf_write_autoconf)
    """
    try:
        text = path.read_text(errors="surrogateescape")
    except FileNotFoundError:
        return {}
    values = {}
    for line in text.splitlines():
        name, equals, value = line.partition("=")
        if equals and name.startswith("CONFIG_"):
            if len(value) >= 2 and value[0] == value[-1] == '"':
                value = value[1:-1].replace('\\"', '"').replace("\\\\", "\\")
            values[name] = value
    return values
