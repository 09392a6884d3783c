# SPDX-License-Identifier: GPL-2.0-only
"""The command line that starts kbuildpy in a process of its own, with this interpreter and this package."""

from __future__ import annotations

import sys
from pathlib import Path

# `python -m` looks for modules in the working directory first, which may be another user's. The directory of this
# package comes last: it may be a checkout.
_START = (
    "import sys; sys.path[:1] == [''] and sys.path.pop(0); sys.path.append(sys.argv.pop(1)); "
    "from kbuildpy.__main__ import run; sys.exit(run())"
)


def own_command(*words: str) -> list[str]:
    """The arguments that run `kbuildpy WORDS`."""
    return [sys.executable, "-c", _START, str(Path(__file__).resolve().parents[1]), *words]
