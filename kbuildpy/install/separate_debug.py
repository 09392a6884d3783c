# SPDX-License-Identifier: GPL-2.0-only
"""Modules stripped as their kernel tree strips them, with their debug information in files of their own.

Counterpart: scripts/Makefile.modinst with INSTALL_MOD_STRIP=1, which throws the debug information away. The files lie
where debuggers look by the build id ("Debugging Information in Separate Files" in gdb's manual): FOLDER/.build-id/ab/
cdef.debug, with links of the modules' names, FOLDER/RELEASE/NAME.ko.debug.
"""

from __future__ import annotations

import os
import re
import tempfile
import threading
import uuid
from collections.abc import Callable, Mapping
from pathlib import Path

from kbuildpy.elf import ModuleImage
from kbuildpy.elf.debug_information import has_debug_information
from kbuildpy.elf.notes import build_id_in, read_notes
from kbuildpy.errors import KbuildError
from kbuildpy.files import replacing, umask
from kbuildpy.install.module import stripped
from kbuildpy.install.pack import RulesFor
from kbuildpy.kernel.installing import InstallRules
from kbuildpy.kernel.module_files import module_name
from kbuildpy.kernel.stated import stated_release
from kbuildpy.run import run
from kbuildpy.signing.trailer import is_signed, without_signatures

_SHORTEST = 4
"""Hexadecimal digits of a build id: two are the name of a folder."""


def stripper(
    rules_for: RulesFor, environ: Mapping[str, str], *, folder: Path | None, replace: bool
) -> Callable[[bytes, Path], bytes]:
    """A function `strip(module, file)` that strips a module as its tree's `modules_install` does; its debug information
    goes below `folder`, if there is one.

    A module that is stripped already is left as it is, with its signature. The function raises `KbuildError` for a
    signed one that is not to `replace` its signature, for one without a build id if there is a folder, when a program
    fails or the folder cannot be written, and what `rules_for` raises.
    """
    known: dict[str, tuple[InstallRules, dict[str, str]]] = {}
    lock = threading.Lock()

    def strip(module: bytes, file: Path) -> bytes:
        contents = without_signatures(module)
        release = stated_release(contents)
        # (locked: make is run for the answer, and many modules come at once)
        with lock:
            if release not in known:
                rules = rules_for(release, {"INSTALL_MOD_STRIP": "1"})
                known[release] = rules, rules.environment_for(environ, "")
            rules, env = known[release]
        result = stripped(contents, rules, env, file)
        if result == contents:
            return module
        if is_signed(module) and not replace:
            raise KbuildError(
                "it is signed already, and stripping it removes the signature", hint="use --replace to sign it again"
            )
        if folder is not None and has_debug_information(contents, str(file)):
            _save_debug(
                ModuleImage(contents, str(file)), contents, file, folder / (release or rules.release), rules, env
            )
        return result

    return strip


def _save_debug(
    image: ModuleImage, contents: bytes, file: Path, folder: Path, rules: InstallRules, env: Mapping[str, str]
) -> None:
    build_id = build_id_in(read_notes(contents, image.header, image.sections))
    if len(build_id) < _SHORTEST:
        raise KbuildError(
            "it has no build id, by which debuggers find its debug information",
            hint="link it as Kbuild does (--build-id=sha1), or leave --debug-files out",
        )
    target = folder.parent / ".build-id" / build_id[:2] / f"{build_id[2:]}.debug"
    for place in (target.parent, folder):
        place.mkdir(parents=True, exist_ok=True)
    with replacing(target) as slot:
        slot.write(_debug_only(contents, rules, env), mode=0o644 & ~umask())
        _link(folder / f"{module_name(str(file))}.ko.debug", os.path.relpath(target, folder))


def _debug_only(contents: bytes, rules: InstallRules, env: Mapping[str, str]) -> bytes:
    """The debug information of a module, as objcopy takes it out."""
    # (Kbuild names both programs by one prefix and one version: llvm-strip-16, aarch64-linux-gnu-strip)
    program = re.sub(r"strip(?=(?:-[\d.]+)?\Z)", "objcopy", rules.strip[0])
    with tempfile.TemporaryDirectory(prefix="kbuildpy-") as scratch:
        module, debug = Path(scratch, "module.ko"), Path(scratch, "module.ko.debug")
        module.write_bytes(contents)
        run([program, "--only-keep-debug", module, debug], env=env)
        return debug.read_bytes()


def _link(path: Path, target: str) -> None:
    """Have `path` be a link to `target`, from one moment to the next."""
    beside = path.with_name(f".{path.name}.{uuid.uuid4().hex}~")
    beside.symlink_to(target)
    beside.replace(path)
