# SPDX-License-Identifier: GPL-2.0-only
"""Whether the kernel that runs enforces signatures."""

from __future__ import annotations

import re
from pathlib import Path

from kbuildpy.kernel.rooted import Rooted


def enforcement(root: Path) -> tuple[bool, bool]:
    """Whether the running kernel enforces signatures, and whether it is locked down: the next one will be started in
    the same way."""
    system = Rooted(root)
    enforced = (system.text("/sys/module/module/parameters/sig_enforce") or "").strip() == "Y"
    locked = re.search(r"\[(integrity|confidentiality)\]", system.text("/sys/kernel/security/lockdown") or "")
    return enforced, locked is not None
