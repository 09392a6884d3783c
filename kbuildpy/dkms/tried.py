# SPDX-License-Identifier: GPL-2.0-only
"""Asks before modules are installed whether a kernel takes them: the loader check, and a kernel in QEMU (`--try`).

Both are kbuildpy's own commands, in processes of their own. Modules of packages that a package depends on are at hand.
"""

from __future__ import annotations

import hashlib
import json
import os
import signal
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

from kbuildpy.child import end_with
from kbuildpy.dkms.conf import DkmsConf
from kbuildpy.dkms.package_build import keep_failure
from kbuildpy.dkms.places import DkmsPlaces
from kbuildpy.errors import KbuildError
from kbuildpy.files import replacing
from kbuildpy.kernel.module_files import walk_modules
from kbuildpy.kernel.tree import KernelTree
from kbuildpy.own_command import own_command
from kbuildpy.printable import printable
from kbuildpy.run import run

REFUSED = 10
"""The exit status where a kernel does not take what was built: that of a build that fails."""
TRIED = "try.log"
"""What is in the folder `log/` of a build whose modules ran in QEMU: for readers. It comes with archives, too; what
counts is the note of `keep_trial`."""


def check_modules(conf: DkmsConf, modules: Sequence[Path], needed: Sequence[Path], tree: KernelTree) -> None:
    """Have the loader check look at `modules`, where `needed` are there to load before. Raises `KbuildError` for one
    that the kernel would refuse."""
    for found in _results("check", modules, needed, tree):
        if found.get("accepted") is False:
            module, words = Path(found["file"]).name, printable(str(found["reason"] or found["log"]))
            raise KbuildError(
                f"{conf.identity}: {tree.release} would refuse {module}: {words}",
                hint=found["hint"] or "",
                status=REFUSED,
            )


def try_modules(conf: DkmsConf, modules: Sequence[Path], needed: Sequence[Path], tree: KernelTree) -> str:
    """Load `modules` in the kernel in QEMU, and remove them; what to keep of that. Raises `KbuildError` where the
    kernel refuses one or complains, and where there is no such kernel to boot."""
    kept = []
    for found in _results("run", modules, needed, tree):
        complaints = [each for each in found["complaints"] if not _is_expected(each, found["errno"])]
        if complaints or not (found["loaded"] or found["complaints"]):
            reason = printable(str(complaints[0]["words"] if complaints else "it was not loaded"))
            raise KbuildError(
                f"{conf.identity}: {Path(str(found['file'])).name} fails in {tree.release}: {reason}",
                hint="nothing was installed; without --try nothing is loaded before",
                status=REFUSED,
            )
        kept.append(f"{found['name']}: {found['reason'] or 'loaded and removed'}, in {tree.release}")
    return "".join(f"{line}\n" for line in kept)


def try_built(
    places: DkmsPlaces, conf: DkmsConf, tree: KernelTree, kernel: str, arch: str, *, needs: Sequence[str]
) -> None:
    """The same for what was built before, with the modules of the packages `needs`, unless these modules were tried
    then; `status` tells of a failure. Raises `KbuildError`."""
    folder = places.built(conf.name, conf.version, kernel, arch)
    if not was_tried(places, conf.name, conf.version, kernel, arch):
        modules = [Path(path) for path in walk_modules(folder / "module")]
        try:
            said = try_modules(conf, modules, needed_modules(places, needs, kernel, arch), tree)
        except KbuildError as error:
            keep_failure(places, conf, kernel, arch, folder / "log" / "make.log", error)
            raise
        (folder / "log").mkdir(exist_ok=True)
        (folder / "log" / TRIED).write_text(said)
        keep_trial(places, conf, kernel, arch, folder / "module")


def keep_trial(places: DkmsPlaces, conf: DkmsConf, kernel: str, arch: str, modules: Path) -> None:
    """Keep that the modules in the folder `modules` ran in QEMU, by their digests: others that come in their place, in
    an archive or from a build of DKMS, did not. Raises OSError."""
    path = places.trial(conf.name, conf.version, kernel, arch)
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as file:
        file.write(_digests(modules), mode=0o644)


def was_tried(places: DkmsPlaces, name: str, version: str, kernel: str, arch: str) -> bool:
    """Whether the modules that are built now ran in QEMU."""
    try:
        kept = places.trial(name, version, kernel, arch).read_bytes()
        return kept == _digests(places.built(name, version, kernel, arch) / "module")
    except OSError:
        return False


def forget_trial(places: DkmsPlaces, name: str, version: str, kernel: str, arch: str) -> None:
    """Remove the note of `keep_trial`. Raises OSError."""
    path = places.trial(name, version, kernel, arch)
    path.unlink(missing_ok=True)
    for parent in list(path.parents)[:4]:
        with suppress(OSError):
            parent.rmdir()


def needed_modules(places: DkmsPlaces, packages: Sequence[str], kernel: str, arch: str) -> list[Path]:
    """The modules of the packages that a package depends on, as they are installed for a kernel."""
    active = [places.active(name, kernel, arch) / "module" for name in packages]
    return [Path(path) for folder in active if folder.is_dir() for path in walk_modules(folder)]


def _digests(folder: Path) -> bytes:
    """The modules of a folder as sha256sum lists them."""
    paths = sorted(map(Path, walk_modules(folder)))
    lines = [f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.relative_to(folder)}\n" for path in paths]
    return os.fsencode("".join(lines))


def _is_expected(complaint: Mapping[str, Any], errno: str | None) -> bool:
    """Whether a complaint says nothing about the module: the guest has no such device, or the module stays loaded."""
    return complaint["kind"] == "busy" or (complaint["kind"] == "init" and errno in ("ENODEV", "ENXIO"))


def _results(
    command: str, modules: Sequence[Path], needed: Sequence[Path], tree: KernelTree
) -> Iterator[dict[str, Any]]:
    """What a command says in JSON of `modules`. Raises `KbuildError` where it says nothing of one."""
    files = [str(path) for path in (*modules, *needed)]
    argv = own_command(command, *files, "-k", str(tree.objects), "--format", "json", "-q")
    done = run(argv, check=False, begin=partial(end_with, os.getpid(), signal.SIGTERM))
    wanted = set(map(str, modules))
    for line in done.text.splitlines():
        if line.startswith("{") and (found := json.loads(line)).get("file") in wanted:
            wanted.discard(found["file"])
            yield found
    if wanted and (command == "run" or done.returncode not in (0, 1)):
        said = next((line for line in done.error_text.splitlines() if "error: " in line), "it says nothing")
        reason = printable(said.removeprefix("kbuildpy: error: "))
        raise KbuildError(f"{Path(min(wanted)).name}: no answer of kbuildpy {command}: {reason}", status=REFUSED)
