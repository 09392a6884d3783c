# SPDX-License-Identifier: GPL-2.0-only
"""Keeps standard output for a command's own answer, for the commands that build before they answer."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def on_standard_error() -> Iterator[None]:
    """Redirect standard output, also that of programs, to standard error."""
    sys.stdout.flush()
    kept = os.dup(1)
    os.dup2(2, 1)
    try:
        yield
    finally:
        sys.stdout.flush()
        os.dup2(kept, 1)
        os.close(kept)
