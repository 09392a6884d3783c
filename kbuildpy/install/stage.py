# SPDX-License-Identifier: GPL-2.0-only
"""modules_install for many modules: all are looked at, then installed side by side."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from kbuildpy.errors import KbuildError
from kbuildpy.install.beneath import check_places
from kbuildpy.install.module import install_module, target_of, titles
from kbuildpy.install.modules import BuiltModule, check_modules
from kbuildpy.install.signer import tree_signer
from kbuildpy.kernel.installing import InstallRules
from kbuildpy.parallel import in_threads
from kbuildpy.signing.manifest import Manifest, new_line
from kbuildpy.signing.trailer import MARKER, is_signed

if TYPE_CHECKING:
    from kbuildpy.signing.signer import Signer

Say = Callable[[str], None]


def install_modules(
    modules: Sequence[BuiltModule],
    rules: InstallRules,
    *,
    release: str,
    root: str,
    environ: Mapping[str, str],
    jobs: int,
    signer: Signer | None,
    manifest: Manifest | None,
    manifest_root: str,
    dry_run: bool,
    warn: Say,
) -> Iterator[str]:
    """Install `modules` of the kernel `release` below `root` ("" for the running system) as `rules` have it.

    What comes back are the lines that Kbuild prints, for one module after the other as each is installed; `warn` gets
    warnings before that. `signer` signs in place of the tree's own key. `manifest` gets a line for each, in which
    `root` is called `manifest_root`. `jobs` modules are worked on at a time. Nothing is installed when a module is not
    as it should be, or would be written outside of `root`; when one fails on its way, those that come after it are not
    begun. Raises `KbuildError`.
    """
    env = rules.environment_for(environ, root)
    check_modules(modules, release)
    for said in check_places((module.name for module in modules), rules, root):
        warn(f"kbuildpy: warning: {said}")
    check_signatures(modules, rules, signer, warn)
    chosen, lack = (signer, "") if signer else tree_signer(rules.signature)
    if lack and not all(stays_signed(module, rules) for module in modules):
        warn(unsigned_warning(lack))

    def install(module: BuiltModule) -> str:
        target = target_of(module.name, rules, root)
        if not dry_run:
            built, installed = install_module(module.source, target, rules, env=env, signer=chosen)
            # (here: the result of one that is done is lost when another fails)
            if manifest is not None:
                named = target_of(module.name, rules, manifest_root)
                origin = chosen.key.origin() if chosen else None
                manifest.add(new_line(named, built, installed, chosen, origin))
        return "\n".join(titles(target, rules, signs=chosen is not None))

    return in_threads(install, modules, jobs=jobs, in_order=True)


def unsigned_warning(lack: str) -> str:
    """What to say once in place of sign-file's complaints about each module."""
    return (
        f"kbuildpy: warning: the modules are not signed: {lack}\n"
        "  the tree signs what it installs (CONFIG_MODULE_SIG_ALL), but is without its key; sign with your own: "
        "--key KEY --cert CERT"
    )


def check_signatures(modules: Sequence[BuiltModule], rules: InstallRules, signer: Signer | None, warn: Say) -> None:
    """Refuse to sign with a key of the caller's what is signed (`KbuildError`); warn of signatures that are lost."""
    signed = [module for module in modules if _ends_signed(module)]
    if not signed:
        return
    if rules.strip and not signer:
        warn(
            f"kbuildpy: warning: {signed[0].source}: stripping removes the signature"
            + (f" (and those of {len(signed) - 1} others)" if len(signed) > 1 else "")
            + "\n  sign during the installation, after stripping: --key KEY --cert CERT"
        )
    elif signer and not rules.strip:
        raise KbuildError(
            f"{signed[0].source}: signed already",
            hint="install it as it is, without --key, or install an unsigned module",
        )


def stays_signed(module: BuiltModule, rules: InstallRules) -> bool:
    """Whether a module has a signature already that it is installed with."""
    return not rules.strip and _ends_signed(module)


def _ends_signed(module: BuiltModule) -> bool:
    with module.source.open("rb") as file:
        size = file.seek(0, 2)
        # (a file that is nothing but the marker has no signature)
        file.seek(max(size - len(MARKER) - 1, 0))
        return is_signed(file.read())
