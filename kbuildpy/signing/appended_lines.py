# SPDX-License-Identifier: GPL-2.0-only
"""Files to which lines of JSON are appended: a kill or a full disk may cut the last one short."""

from __future__ import annotations

import json
from collections.abc import Sequence

LONGEST = 1 << 20
"""Bytes of a line, at most."""


def is_cut(line: bytes, error: Exception, beginnings: Sequence[bytes]) -> bool:
    """Whether `line`, the last one of a file, which raised `error`, is half of one of ours, which begin with one of
    `beginnings`, and not the beginning of something else."""
    ours = any(line.startswith(words) or words.startswith(line) for words in beginnings)
    return ours and len(line) < LONGEST and not line.endswith(b"\n") and isinstance(error, json.JSONDecodeError)
