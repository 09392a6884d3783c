# SPDX-License-Identifier: GPL-2.0-only
"""Builds a package for a kernel: from its sources to stripped, signed and compressed modules in DKMS' tree.

The result is staged beside the tree and gets its place in one step, so that a build that is killed leaves nothing.
"""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from kbuildpy.dkms.conf import DkmsConf, DkmsModule
from kbuildpy.dkms.make_line import kbuild_call
from kbuildpy.dkms.package_build import (
    apply_patches,
    built_file,
    copy_sources,
    end_of,
    keep_failure,
    note,
    run_kbuild,
    run_make,
    run_script,
)
from kbuildpy.dkms.places import DkmsPlaces
from kbuildpy.dkms.replaced import keep_replaced
from kbuildpy.dkms.tried import TRIED, check_modules, keep_trial, needed_modules, try_modules
from kbuildpy.errors import KbuildError
from kbuildpy.exchange import put_in_place, sync_tree
from kbuildpy.kernel.tree import KernelTree
from kbuildpy.run import run

EXCLUDED = 77
"""The exit status for a kernel that the package is not for."""

_COMPRESS = {
    # (CRC-32: the kernel's own decoder knows no other)
    ".xz": ("xz", "--check=crc32", "-f"),
    ".gz": ("gzip", "-n", "-9", "-f"),
    ".zst": ("zstd", "-q", "-f", "--rm", "-T0", "-20", "--ultra"),
}

Sign = Callable[[bytes], bytes]
"""Returns a module with a signature."""


@dataclass(frozen=True)
class PackageBuild:
    """A build of a package for a kernel."""

    places: DkmsPlaces
    conf: DkmsConf
    tree: KernelTree
    kernel: str
    arch: str
    jobs: int
    sign: Sign | None
    """None: the modules are left without a signature."""
    needs: tuple[str, ...] = ()
    """The packages that it depends on, and those that they do."""
    is_tried: bool = False
    """Whether the modules are loaded in QEMU before they count as built."""


def build_package(build: PackageBuild) -> Path:
    """Build the modules, and put them into DKMS' tree; the folder, which has `module/` and `log/`.

    Raises `KbuildError` with DKMS' exit status; what the build printed is kept then, for `status`.
    """
    conf, places = build.conf, build.places
    if conf.excluded:
        raise KbuildError(
            f"{conf.identity} is not for {build.kernel}: {conf.excluded}",
            hint="its dkms.conf says so (BUILD_EXCLUSIVE_...)",
            status=EXCLUDED,
        )
    place = places.build(conf.name, conf.version)
    log = place / "make.log"
    try:
        copy_sources(places.source(conf.name, conf.version), place)
        note(log, f"DKMS make.log for {conf.name}-{conf.version} for kernel {build.kernel} ({build.arch})")
        made = _build(build, place, log)
        folder = _staged(build, made, log)
    except (KbuildError, OSError) as error:
        failure = error if isinstance(error, KbuildError) else KbuildError(f"{error.filename}: {error.strerror}")
        if failure.status == 1:
            failure.status = 10
        keep_failure(places, conf, build.kernel, build.arch, log, failure)
        raise failure from error
    forget_failures(places, conf.name, conf.version, build.kernel)
    shutil.rmtree(place, ignore_errors=True)
    return folder


def _build(build: PackageBuild, place: Path, log: Path) -> list[Path]:
    """Make the modules in the copy of the sources; their files."""
    conf = build.conf
    apply_patches(conf, place, log)
    if not run_script(conf, "pre_build", place, log, {}):
        raise KbuildError(f"{conf.identity}: PRE_BUILD failed\n{end_of(log)}", hint=f"see {log}")
    call = kbuild_call(conf.make, tree=build.tree.objects, build=place)
    if call is None:
        run_make(conf, place, log, release=build.kernel, jobs=build.jobs, compiler=_compiler_of(build.tree))
    else:
        directory = place / call.below if call.below else place
        run_kbuild(conf, directory, build.tree, call.variables, log, jobs=build.jobs)
    made = [built_file(module, place) for module in conf.modules]
    if call is None:
        # (what kbuildpy builds itself is checked there)
        check_modules(conf, made, needed_modules(build.places, build.needs, build.kernel, build.arch), build.tree)
    return made


def _staged(build: PackageBuild, made: list[Path], log: Path) -> Path:
    """Strip, sign and compress the modules `made`, and give them their place; the folder."""
    conf, places = build.conf, build.places
    places.state.mkdir(parents=True, exist_ok=True)
    stage = Path(tempfile.mkdtemp(prefix="stage-", dir=places.state))
    try:
        stage.chmod(0o755)
        (stage / "module").mkdir()
        (stage / "log").mkdir()
        for module, path in zip(conf.modules, made, strict=True):
            _finish_module(build, module, path, stage / "module")
        if not run_script(conf, "post_build", places.build(conf.name, conf.version), log, {}):
            note(log, "kbuildpy: POST_BUILD failed")
        config = build.tree.objects / ".config"
        if config.is_file():
            shutil.copyfile(config, stage / "log" / ".config")
        shutil.copyfile(log, stage / "log" / "make.log")
        if build.is_tried:
            needed = needed_modules(places, build.needs, build.kernel, build.arch)
            said = try_modules(conf, sorted((stage / "module").iterdir()), needed, build.tree)
            (stage / "log" / TRIED).write_text(said)
            keep_trial(places, conf, build.kernel, build.arch, stage / "module")
        sync_tree(stage)
        folder = places.built(conf.name, conf.version, build.kernel, build.arch)
        folder.parent.mkdir(parents=True, exist_ok=True)
        if places.is_installed(conf.name, conf.version, build.kernel, build.arch):
            keep_replaced(places, conf.name, build.kernel, build.arch, folder / "module")
        put_in_place(stage, folder)
        return folder
    finally:
        shutil.rmtree(stage, ignore_errors=True)


def _finish_module(build: PackageBuild, module: DkmsModule, path: Path, folder: Path) -> None:
    target = folder / f"{module.installed_name}.ko"
    shutil.copyfile(path, target)
    if module.strip:
        run(["strip", "-g", target])
    if build.sign is not None:
        target.write_bytes(build.sign(target.read_bytes()))
    suffix = compression_of_kernel(build.places.install_tree / build.kernel)
    if suffix:
        run([*_COMPRESS[suffix], target])


def compression_of_kernel(modules: Path) -> str:
    """How the kernel's own modules are compressed (`.xz`, "" for not at all), by its modules.dep, as DKMS finds it."""
    try:
        text = (modules / "modules.dep").read_text(errors="replace")
    except OSError:
        return ""
    return next((suffix for suffix in (".zst", ".xz", ".gz") if f"{suffix}:" in text), "")


def _compiler_of(tree: KernelTree) -> str:
    """The compiler that a tree names for all that is built against it (Debian's .kernelvariables), "" if none."""
    try:
        text = (tree.objects / ".kernelvariables").read_text(errors="replace")
    except OSError:
        return ""
    found = re.search(r"^(?:override )?CC\s*:?=.*?([\w.+-]+)\s*$", text, re.MULTILINE)
    return found[1] if found else ""


def forget_failures(places: DkmsPlaces, name: str, version: str, kernel: str = "") -> None:
    """Forget the failed builds of a package, for one kernel or for all."""
    folder = places.state / "failed" / name / version
    shutil.rmtree(folder / kernel if kernel else folder, ignore_errors=True)
    for parent in (folder, folder.parent):
        with suppress(OSError):
            parent.rmdir()
