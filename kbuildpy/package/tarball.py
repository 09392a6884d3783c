# SPDX-License-Identifier: GPL-2.0-only
"""A plain tarball: NAME-modules-RELEASE_VERSION_MACHINE.tar.zst (.xz, .gz), to be unpacked at the root.

It has files only: a directory in an archive would change the mode of that one on the machine, and replace a link
(`/lib`, if it were unpacked there). After it was unpacked, depmod makes modprobe find the modules.
"""

from __future__ import annotations

import gzip
import lzma
from functools import partial
from pathlib import Path

from kbuildpy.compression import decompress
from kbuildpy.package.format import BuildPlace, BuiltFiles, PackageFormat, below_modules, no_check
from kbuildpy.package.module_package import ModulePackage
from kbuildpy.package.tar_stream import files_of, tar_of
from kbuildpy.run import run

COMPRESSIONS = ("zst", "xz", "gz")
"""How names of tarballs end."""
_ROOT = "usr"


def tarball(compression: str) -> PackageFormat:
    """Tarballs that are compressed so."""
    return PackageFormat("tar", partial(_name, compression), no_check, partial(_build, compression), _modules_in)


def _name(compression: str, package: ModulePackage) -> str:
    names = (f"{package.name}-modules-{package.release}", package.version, package.machine.uname)
    return f"{'_'.join(names)}.tar.{compression}"


def _build(compression: str, package: ModulePackage, place: BuildPlace) -> BuiltFiles:
    path = place.scratch / _name(compression, package)
    archive = tar_of(package.files(_ROOT), package.date, folders=False)
    if compression == "xz":
        path.write_bytes(lzma.compress(archive, preset=6))
    elif compression == "gz":
        path.write_bytes(gzip.compress(archive, 9, mtime=0))
    else:
        path.write_bytes(run(["zstd", "-q", "-c", "-19", "-T1"], input=archive, env=place.environ).stdout)
    return BuiltFiles(path)


def _modules_in(package: ModulePackage, path: Path, place: BuildPlace) -> dict[str, bytes]:
    if path.name.endswith(".zst"):
        archive = run(["zstd", "-q", "-d", "-c", path], env=place.environ).stdout
    else:
        archive = decompress(path.read_bytes())
    return below_modules(files_of(archive, path.name), package, _ROOT)
