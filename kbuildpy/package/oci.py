# SPDX-License-Identifier: GPL-2.0-only
"""An OCI image with modules, as Kernel Module Management takes it: NAME-modules-RELEASE_VERSION_MACHINE.oci.tar.

Modules are in /opt/lib/modules/RELEASE with depmod's index beside them, which KMM's worker copies to the node's file
system. The archive is an image layout (`oci-archive:` of skopeo and podman). It is written here: a layout is three
small JSON documents and one tar archive, no daemon and no privilege are needed, and no tool writes layouts with the
same bytes each time. The layer is not compressed, so that its digest depends on no compressor's version; registries
compress what is pushed.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime, timezone
from hashlib import sha256
from pathlib import Path
from typing import Any

from kbuildpy.elf.headers import Ehdr
from kbuildpy.elf.sections import read_sound_ehdr
from kbuildpy.errors import KbuildError, UsageError
from kbuildpy.package.format import BuildPlace, BuiltFiles, PackageFormat, below_modules, no_check
from kbuildpy.package.machine_names import machine_of
from kbuildpy.package.module_index import module_index
from kbuildpy.package.module_package import ModulePackage, PackageFile
from kbuildpy.package.tar_stream import files_of, tar_of
from kbuildpy.program_packages import install_hint

_ROOT = "opt"
_LAYER = "application/vnd.oci.image.layer.v1.tar"
_CONFIG = "application/vnd.oci.image.config.v1+json"
_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
_INDEX = "application/vnd.oci.image.index.v1+json"
_PT_INTERP = 3


def oci(copier: Path | None = None) -> PackageFormat:
    """The format; `copier` is a static program that becomes /bin/cp, which KMM's worker calls in the image."""

    def build(package: ModulePackage, place: BuildPlace) -> BuiltFiles:
        return _build(package, place, copier)

    return PackageFormat("oci", _name, no_check, build, _modules_in)


def _name(package: ModulePackage) -> str:
    return f"{package.name}-modules-{package.release}_{package.version}_{package.machine.uname}.oci.tar"


def _build(package: ModulePackage, place: BuildPlace, copier: Path | None) -> BuiltFiles:
    modules = package.files(_ROOT)
    files = [*modules, *module_index(modules, package, _ROOT, place)]
    if copier is not None:
        files.append(PackageFile("bin/cp", _static_program(copier, package), 0o755))
    layer = tar_of(files, package.date, folders=True)
    config = _json(_config(package, f"sha256:{sha256(layer).hexdigest()}"))
    manifest = _json(
        {
            "schemaVersion": 2,
            "mediaType": _MANIFEST,
            "config": _descriptor(_CONFIG, config),
            "layers": [_descriptor(_LAYER, layer)],
            "annotations": _labels(package),
        }
    )
    index = {
        "schemaVersion": 2,
        "mediaType": _INDEX,
        "manifests": [
            {
                **_descriptor(_MANIFEST, manifest),
                "platform": _platform(package),
                "annotations": {"org.opencontainers.image.ref.name": tag_of(package.release)},
            }
        ],
    }
    blobs = {f"blobs/sha256/{sha256(blob).hexdigest()}": blob for blob in (layer, config, manifest)}
    members = {**blobs, "index.json": _json(index), "oci-layout": _json({"imageLayoutVersion": "1.0.0"})}
    path = place.scratch / _name(package)
    archive = [PackageFile(name, contents) for name, contents in members.items()]
    path.write_bytes(tar_of(archive, package.date, folders=True))
    return BuiltFiles(path)


def tag_of(release: str) -> str:
    """The tag for the image of a release: KMM and registries write `_` for `+`, which no tag can have."""
    return release.replace("+", "_")


def _config(package: ModulePackage, diff: str) -> Mapping[str, Any]:
    created = _time(package.date)
    return {
        "created": created,
        **_platform(package),
        "config": {"Labels": _labels(package)},
        "rootfs": {"type": "layers", "diff_ids": [diff]},
        "history": [{"created": created, "created_by": "kbuildpy package oci"}],
    }


def _platform(package: ModulePackage) -> dict[str, str]:
    names = package.machines
    return {"architecture": names.oci, "os": "linux", **({"variant": names.variant} if names.variant else {})}


def _labels(package: ModulePackage) -> dict[str, str]:
    return {
        "kbuildpy.kernel.release": package.release,
        "kbuildpy.modules": ",".join(module.name for module in package.modules),
        "org.opencontainers.image.created": _time(package.date),
        "org.opencontainers.image.description": package.summary,
        "org.opencontainers.image.title": f"{package.name}-modules",
        "org.opencontainers.image.version": package.version,
    }


def _time(date: int) -> str:
    return datetime.fromtimestamp(date, timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def _descriptor(media: str, blob: bytes) -> dict[str, Any]:
    return {"mediaType": media, "digest": f"sha256:{sha256(blob).hexdigest()}", "size": len(blob)}


def _json(value: Mapping[str, Any]) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()


def _static_program(path: Path, package: ModulePackage) -> bytes:
    """The program, if it runs in an image where nothing else is: static, and for the modules' machine. Raises
    `UsageError`."""
    try:
        contents = path.read_bytes()
    except OSError as error:
        raise UsageError(f"--cp {path}: {error.strerror}") from error
    try:
        header = read_sound_ehdr(contents, str(path))
        machine = machine_of(header, path)
    except KbuildError as error:
        raise UsageError(f"--cp {error.message}", hint=_COPIER_HINT) from error
    if machine != package.machine:
        raise UsageError(f"--cp {path}: for {machine.name}, and the modules are for {package.machine.name}")
    if _has_interpreter(contents, header):
        raise UsageError(f"--cp {path}: not a static program: its libraries are not in the image", hint=_COPIER_HINT)
    return contents


_COPIER_HINT = f"a static busybox will do: {install_hint('busybox')}; --cp /bin/busybox"


def _has_interpreter(contents: bytes, header: Ehdr) -> bool:
    """Whether the program headers name a dynamic loader (elf(5): PT_INTERP)."""
    byte_order = "little" if header.order == "<" else "big"

    def number(offset: int, size: int) -> int:
        return int.from_bytes(contents[offset : offset + size], byte_order)  # type: ignore[arg-type]

    start, entry, count = (
        (number(32, 8), number(54, 2), number(56, 2))
        if header.is_64bit
        else (number(28, 4), number(42, 2), number(44, 2))
    )
    return any(number(start + each * entry, 4) == _PT_INTERP for each in range(count))


def _modules_in(package: ModulePackage, path: Path, place: BuildPlace) -> dict[str, bytes]:
    members = files_of(path.read_bytes(), path.name)
    try:
        [manifest] = json.loads(members["index.json"])["manifests"]
        [layer] = json.loads(_blob(members, manifest))["layers"]
        return below_modules(files_of(_blob(members, layer), path.name), package, _ROOT)
    except (KeyError, ValueError) as error:
        raise KbuildError(f"{path.name}: not a sound image layout: {error}") from error


def _blob(members: Mapping[str, bytes], descriptor: Mapping[str, Any]) -> bytes:
    """A blob, if it is what its descriptor says. Raises ValueError and KeyError."""
    blob = members[f"blobs/{str(descriptor['digest']).replace(':', '/')}"]
    if descriptor["digest"] != f"sha256:{sha256(blob).hexdigest()}" or descriptor["size"] != len(blob):
        raise ValueError(f"{descriptor['digest']} is the digest of other contents")
    return blob
