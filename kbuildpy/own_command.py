# SPDX-License-Identifier: GPL-2.0-only
"""The command line that starts kbuildpy in a process of its own, with this interpreter and this package."""

from __future__ import annotations

import sys
from pathlib import Path

# `python -m` looks for modules in the working directory first, which may be another user's. The directory of this
# package comes last: it may be a checkout.
_START = (
    "import sys; sys.path[:1] == [''] and sys.path.pop(0); sys.path.append(sys.argv.pop(1)); "
    "from {module} import {function}; sys.exit({function}())"
)


def own_command(*words: str) -> list[str]:
    """The arguments that run `kbuildpy WORDS`."""
    return _command("kbuildpy.__main__", "run", *words)


def courier_command() -> list[str]:
    """The arguments that run the process that carries entries of a shared cache."""
    return _command("kbuildpy.shared.courier", "main")


def session_command() -> list[str]:
    """The arguments that run the process of a token's session."""
    return _command("kbuildpy.signing.session_process", "main")


def _command(module: str, function: str, *words: str) -> list[str]:
    start = _START.format(module=module, function=function)
    return [sys.executable, "-c", start, str(Path(__file__).resolve().parents[1]), *words]
