# SPDX-License-Identifier: GPL-2.0-only
"""Where the templates are, for modpost and for new projects."""

from __future__ import annotations

from pathlib import Path

import kbuildpy
from kbuildpy.errors import KbuildError


def template_path(name: str) -> Path:
    """A template or a folder of them: in `templates/` of the checkout, or in the package of an installed wheel."""
    package = Path(kbuildpy.__file__).parent
    for folder in (package / "templates", package.parent / "templates"):
        if (folder / name).exists():
            return folder / name
    raise KbuildError(f"template {name} is missing", hint="reinstall kbuildpy")
