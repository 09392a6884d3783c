# SPDX-License-Identifier: GPL-2.0-only
"""Parses TOML."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from kbuildpy.errors import KbuildError

try:
    import tomllib
except ImportError:  # Python 3.10
    import tomli as tomllib


def parse_toml(path: Path, text: str) -> dict[str, Any]:
    """The tables of `text`, the contents of `path`. Raises `KbuildError`, with the line, for what is not TOML."""
    try:
        parsed: dict[str, Any] = tomllib.loads(text)
        return parsed
    except RecursionError as error:
        raise KbuildError(f"{path}: not TOML: its values are nested too deeply") from error
    except ValueError as error:
        line = re.search(r"at line (\d+)", str(error))
        raise KbuildError(f"{path}{f':{line[1]}' if line else ''}: not TOML: {error}") from error
