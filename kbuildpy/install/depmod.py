# SPDX-License-Identifier: GPL-2.0-only
"""depmod, by the tree's own script (scripts/depmod.sh), which knows the options.

The script does nothing without the tree's System.map, which headers packages do not have. For the running system it is
then called without the script: without an index, modprobe would not find the modules.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable, Mapping
from enum import Enum
from pathlib import Path

from kbuildpy.errors import CommandError
from kbuildpy.install.beneath import check_index
from kbuildpy.kernel.installing import InstallRules
from kbuildpy.run import run, with_sbin

_BOOT = Path("/boot")
_SMALLEST_MAP = 4096
"""In bytes: Debian's packages have one line there, which says where the real System.map is."""


class _Depmod(Enum):
    """How the index of the modules below a root is made."""

    SCRIPT = "the tree's script runs depmod"
    DIRECT = "depmod is run without the script"
    IDLE = "the tree's script is run, and does nothing"
    NONE = "nothing"


def depmod_runs(rules: InstallRules, root: str, *, wanted: bool | None = None) -> bool:
    """Whether depmod is run for what is installed below `root`: where the tree's script runs it, and for the running
    system (""); `wanted` says otherwise."""
    return _choose(rules, root, wanted) in (_Depmod.SCRIPT, _Depmod.DIRECT)


def index_modules(
    rules: InstallRules,
    *,
    root: str,
    environ: Mapping[str, str],
    dry_run: bool,
    say: Callable[[str], None],
    warn: Callable[[str], None],
    wanted: bool | None = None,
) -> None:
    """Run depmod for what is installed below `root`, as `depmod_runs`; where the tree's script does nothing, `warn` of
    that. Raises `KbuildError`."""
    chosen = _choose(rules, root, wanted)
    if chosen == _Depmod.NONE:
        return
    check_index(rules, root)
    say(depmod_title(rules, root))
    said = "" if dry_run else run_depmod(rules, root, rules.environment_for(environ, root), wanted=wanted)
    if said:
        warn(said)
    if chosen == _Depmod.IDLE:
        warn(no_depmod_hint(rules, root))


def run_depmod(rules: InstallRules, root: str, env: Mapping[str, str], *, wanted: bool | None = None) -> str:
    """Run the tree's script, or depmod itself where `depmod_runs` and the script would do nothing; what is said
    (warnings). Raises `CommandError` when it fails."""
    if _choose(rules, root, wanted) == _Depmod.DIRECT:
        done = run(depmod_words(rules, root), env=with_sbin(env), check=False)
    else:
        done = run([*rules.depmod], cwd=rules.cwd, env=env, check=False)
    if done.returncode != 0:
        by_hand = shlex.join(_words(root, rules.release))
        raise CommandError(
            f"depmod failed with status {done.returncode}: {done.error_text.strip()}",
            hint=f"modprobe finds the modules only after this command succeeds: {by_hand}",
            stderr=done.error_text,
            returncode=done.returncode,
        )
    return done.error_text.strip()


def depmod_title(rules: InstallRules, root: str) -> str:
    """The line that Kbuild prints."""
    return f"  DEPMOD  {root}{rules.modlib}"


def no_depmod_hint(rules: InstallRules, root: str) -> str:
    """The hint if the tree's script does nothing."""
    return f"  modprobe finds the modules after this command: {shlex.join(_words(root, rules.release))}"


def depmod_words(rules: InstallRules, root: str, *, boot: Path = _BOOT) -> list[str]:
    """How depmod is called without the script: with the script's options where the kernel's System.map is in `boot`."""
    system_map = boot / f"System.map-{rules.release}"
    try:
        known = not root and system_map.stat().st_size >= _SMALLEST_MAP and os.access(system_map, os.R_OK)
    except OSError:
        known = False
    return _words(root, rules.release, *(["-ae", "-F", str(system_map)] if known else []))


def _words(root: str, release: str, *options: str) -> list[str]:
    return ["depmod", *options, *(["-b", str(Path(root))] if root else []), release]


def _choose(rules: InstallRules, root: str, wanted: bool | None) -> _Depmod:
    if wanted is False:
        return _Depmod.NONE
    # The script checks symbols against the tree's System.map.
    if rules.depmod and os.access(rules.system_map, os.R_OK):
        return _Depmod.SCRIPT
    if wanted or not root:
        return _Depmod.DIRECT
    return _Depmod.IDLE if rules.depmod else _Depmod.NONE
