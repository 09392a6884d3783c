# SPDX-License-Identifier: GPL-2.0-only
"""Asks a kernel tree how it installs external modules (`mk/install.mk`), and remembers the answer.

The counterpart is scripts/Makefile.modinst, and the rule `modules_install` of the top Makefile. As with `ask_tree`, a
placeholder stands for the module. A temporary directory stands for INSTALL_MOD_PATH, because the makefile of later
kernels creates the directories while make reads it.
"""

from __future__ import annotations

import shlex
import tempfile
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from kbuildpy.errors import KbuildError, UsageError
from kbuildpy.kbuild.ask_tree import own_version
from kbuildpy.kbuild.cached import cached
from kbuildpy.kbuild.make_environment import base_environment, environment_key
from kbuildpy.kbuild.make_output import MAKEFILES, environment_difference, make_failed, read_records
from kbuildpy.kbuild.placeholder import PLACEHOLDER, builds_in_directory, make_placeholder
from kbuildpy.kbuild.stamps import Stamp, digest, stamps
from kbuildpy.kernel.cache import cache_directory
from kbuildpy.kernel.compiler import cross_variables
from kbuildpy.kernel.installing import ROOT, InstallRules, TreeSignature
from kbuildpy.kernel.tree import KernelTree
from kbuildpy.run import run

_COMPRESSORS = {"gzip": ".gz", "xz": ".xz", "zstd": ".zst"}


def ask_install(tree: KernelTree, *, variables: Mapping[str, str], environ: Mapping[str, str]) -> InstallRules:
    """How `tree` installs modules under the make variables `variables` and `environ`; INSTALL_MOD_PATH is ignored.

    The answer is remembered until the tree's makefiles or its configuration change. Raises `UsageError` for variables
    with MODLIB; `KbuildError` with make's message when the tree's makefiles fail, and for makefiles without a command
    that installs a module.
    """
    if "MODLIB" in variables:
        raise UsageError(
            "MODLIB: kbuildpy installs below lib/modules/RELEASE only",
            hint="choose another root (INSTALL_MOD_PATH), or another directory in it (INSTALL_MOD_DIR)",
        )
    chosen = {**cross_variables(tree, variables, environ), **variables}
    given = tuple(sorted((name, value) for name, value in chosen.items() if name != "INSTALL_MOD_PATH"))
    asked_in = {name: value for name, value in environ.items() if name != "INSTALL_MOD_PATH"}
    key = digest(str(tree.objects), str(tree.source), given, environment_key(asked_in), own_version())

    def ask() -> tuple[dict[str, Any], dict[str, Stamp]]:
        rules, read = _ask(tree, given, asked_in)
        return asdict(rules), stamps(read)

    path, all_variables = cache_directory() / "install" / f"{key}.json", {**asked_in, **dict(given)}
    return cached(path, ask, read=_from_json, variables=all_variables)


def _ask(
    tree: KernelTree, variables: tuple[tuple[str, str], ...], environ: Mapping[str, str]
) -> tuple[InstallRules, list[str]]:
    """The install rules, and the files that the answer depends on (makefiles, auto.conf)."""
    in_directory = builds_in_directory(tree)
    with tempfile.TemporaryDirectory(prefix="kbuildpy-") as folder:
        scratch = Path(folder).resolve()
        place, root, records, exported = (scratch / name for name in ("module", "root", "records", "environment"))
        make_placeholder(tree, place, in_directory=in_directory)
        (place / f"{PLACEHOLDER}.ko").touch()
        cwd = str(place) if in_directory else str(tree.objects)
        asked = base_environment(environ, cwd) | {
            "KBUILDPY_TREE": str(tree.objects),
            "KBUILDPY_MK": str(MAKEFILES),
            "KBUILDPY_RECORDS": str(records),
            "KBUILDPY_ENVIRONMENT": str(exported),
        }
        argv = ["make", "--no-print-directory", "-f", str(MAKEFILES / "install.mk"), "kbuildpy-install", f"M={place}"]
        words = [f"{name}={value}" for name, value in variables]
        done = run([*argv, *words, f"INSTALL_MOD_PATH={root}"], cwd=cwd, env=asked, check=False)
        blocks = list(read_records(records.read_text(errors="surrogateescape"))) if records.exists() else []
        facts = next((block for block in blocks if "modlib" in block), {})
        if done.returncode != 0 or not facts:
            raise make_failed(f"{tree.objects}: the kernel tree's makefiles failed", done.error_text)
        environment = environment_difference(asked, exported.read_bytes())
        read = [str(Path(cwd, name)) for block in blocks for name in block.get("makefiles", "").split()]
        read.append(str(tree.objects / "include/config/auto.conf"))
        rules = _rules(tree, blocks, facts, root=str(root), cwd=cwd, environment=environment)
    return rules, [name for name in dict.fromkeys(read) if not name.startswith(str(MAKEFILES))]


def _rules(
    tree: KernelTree,
    blocks: list[dict[str, str]],
    facts: Mapping[str, str],
    *,
    root: str,
    cwd: str,
    environment: Mapping[str, str | None],
) -> InstallRules:
    rules = {block["rule"]: block for block in blocks if "rule" in block}
    if "modules_install" in rules:
        rules |= _early_rules(rules["modules_install"]["command"])
    installed = rules.get("install", {}).get("target", "")
    folder, _, name = installed.rpartition("/")
    modlib = facts["modlib"]
    if name != f"{PLACEHOLDER}.ko" or not folder.startswith(f"{modlib}/") or not modlib.startswith(f"{root}/"):
        raise KbuildError(
            f"{tree.objects}: the tree's makefiles have no command that installs a module",
            hint="install with make -C KDIR M=DIR modules_install",
        )
    compress = next((rules[rule] for rule in _COMPRESSORS if rule in rules), {})
    system_map = tree.objects / "System.map"
    return InstallRules(
        release=facts["release"],
        modlib=modlib.removeprefix(root),
        folder=folder.removeprefix(f"{modlib}/"),
        suffix=compress["target"].removeprefix(installed) if compress else "",
        strip=_words_before(rules.get("strip", {}).get("command", ""), installed),
        signature=_signature(rules.get("sign", {}).get("command", ""), cwd),
        compress=_words_before(compress.get("command", ""), installed),
        compress_title=compress.get("quiet", "").split(" ")[0],
        depmod=tuple(shlex.split(rules.get("depmod", {}).get("command", ""))),
        system_map=str(system_map),
        cwd=str(tree.objects),
        environment={
            name: value if value is None else value.replace(root, ROOT) for name, value in environment.items()
        },
    )


def _early_rules(command: str) -> dict[str, dict[str, str]]:
    """The single command of 5.10, `mkdir; cp; STRIP; SIGN; COMPRESS`, split into the rules of later kernels."""
    folder, _, strip, sign, compress = (part.strip() for part in command.split(" ; "))
    installed = f"{shlex.split(folder)[-1]}/{PLACEHOLDER}.ko"
    rules = {"install": {"target": installed}, "strip": {"command": strip}, "sign": {"command": sign}}
    program = Path(compress.partition(" ")[0]).name
    if program in _COMPRESSORS:
        suffix = _COMPRESSORS[program]
        rules[program] = {"command": compress, "target": f"{installed}{suffix}", "quiet": program.upper()}
    return rules


def _words_before(command: str, file: str) -> tuple[str, ...]:
    """The words of `command` without `file` at its end; empty for a command that has no `file` there (`:`), and for
    `true`."""
    words = shlex.split(command)
    return tuple(words[:-1]) if words[-1:] == [file] and words[0] != "true" else ()


def _signature(command: str, cwd: str) -> TreeSignature | None:
    """The arguments of `sign-file HASH KEY CERTIFICATE FILE || true`; None for a shorter command."""
    words = shlex.split(command)
    if len(words) < 5:
        return None
    hash, key, certificate = words[1:4]
    if not key.startswith("pkcs11:"):
        key = str(Path(cwd, key))
    return TreeSignature(hash, key, str(Path(cwd, certificate)))


def _from_json(value: Mapping[str, Any]) -> InstallRules:
    signature = value["signature"]
    lists = {name: tuple(value[name]) for name in ("strip", "compress", "depmod")}
    return InstallRules(**{**value, **lists, "signature": TreeSignature(**signature) if signature else None})
