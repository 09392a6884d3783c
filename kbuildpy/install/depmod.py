"""depmod, by the tree's own script (scripts/depmod.sh), which knows the options.

The script does nothing without the tree's System.map, which headers packages do not have. For the running system it is
then called without the script: nobody could load what was installed before.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from kbuildpy.errors import CommandError
from kbuildpy.kernel.installing import InstallRules
from kbuildpy.run import run, with_sbin

_BOOT = Path("/boot")
_SMALLEST_MAP = 4096
"""In bytes: Debian's packages have one line there, which says where the real System.map is."""


def script_runs(rules: InstallRules) -> bool:
    """Whether the tree's script would run depmod: it checks symbols against the tree's System.map."""
    return bool(rules.depmod) and os.access(rules.system_map, os.R_OK)


def depmod_runs(rules: InstallRules, root: str, *, wanted: bool | None = None) -> bool:
    """Whether depmod is run for what is installed below `root`: where the tree's script runs it, and for the running
    system (""); `wanted` says otherwise."""
    return (script_runs(rules) or not root) if wanted is None else wanted


def depmod_title(rules: InstallRules, root: str) -> str:
    """What Kbuild prints."""
    return f"  DEPMOD  {root}{rules.modlib}"


def run_depmod(rules: InstallRules, root: str, env: Mapping[str, str], *, wanted: bool | None = None) -> str:
    """Run the script, or depmod itself where that would do nothing and `depmod_runs`; what is said (warnings).
    `CommandError` when it fails."""
    if script_runs(rules) or not depmod_runs(rules, root, wanted=wanted):
        done = run([*rules.depmod], cwd=rules.cwd, env=env, check=False)
    else:
        done = run(depmod_words(rules, root), env=with_sbin(env), check=False)
    if done.returncode != 0:
        raise CommandError(
            f"depmod failed with status {done.returncode}: {done.error_text.strip()}",
            hint=f"modprobe does not find the modules before this works: {depmod_command(rules, root)}",
            stderr=done.error_text,
            returncode=done.returncode,
        )
    return done.error_text.strip()


def depmod_words(rules: InstallRules, root: str, *, boot: Path = _BOOT) -> list[str]:
    """How depmod is called without the script: with the options of the script's where the kernel's System.map is in
    `boot`."""
    system_map = boot / f"System.map-{rules.release}"
    try:
        known = not root and system_map.stat().st_size >= _SMALLEST_MAP and os.access(system_map, os.R_OK)
    except OSError:
        known = False
    words = ["depmod", *(["-ae", "-F", str(system_map)] if known else []), *(["-b", root] if root else [])]
    return [*words, rules.release]


def depmod_command(rules: InstallRules, root: str) -> str:
    """How to run depmod by hand."""
    return f"depmod -b {Path(root)} {rules.release}" if root else f"depmod {rules.release}"
