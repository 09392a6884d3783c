"""depmod, by the tree's own script (scripts/depmod.sh), which knows the options."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from kbuildpy.errors import CommandError
from kbuildpy.kernel.installing import InstallRules
from kbuildpy.run import run


def depmod_runs(rules: InstallRules) -> bool:
    """Whether the script would run depmod: it checks symbols against the tree's System.map, and headers packages have
    none."""
    return bool(rules.depmod) and os.access(rules.system_map, os.R_OK)


def depmod_title(rules: InstallRules, root: str) -> str:
    """What Kbuild prints."""
    return f"  DEPMOD  {root}{rules.modlib}"


def run_depmod(rules: InstallRules, root: str, env: Mapping[str, str]) -> str:
    """Run the script for the modules below `root`; what it and depmod say (warnings). `CommandError` when it fails."""
    done = run([*rules.depmod], cwd=rules.cwd, env=env, check=False)
    if done.returncode != 0:
        raise CommandError(
            f"depmod failed with status {done.returncode}: {done.error_text.strip()}",
            hint=f"modprobe does not find the modules before this works: {depmod_command(rules, root)}",
            stderr=done.error_text,
            returncode=done.returncode,
        )
    return done.error_text.strip()


def depmod_command(rules: InstallRules, root: str) -> str:
    """How to run depmod by hand."""
    return f"depmod -b {Path(root)} {rules.release}" if root else f"depmod {rules.release}"
