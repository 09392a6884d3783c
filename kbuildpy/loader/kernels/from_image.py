# SPDX-License-Identifier: GPL-2.0-only
"""Reads the facts about a kernel from its image and its modules, without headers.

The image has the keys, vermagic and the exports of vmlinux. The modules that were built with it have their own exports
and the layout of `struct module`. The kernel may be installed on this system or unpacked in any directory.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

from kbuildpy.errors import KbuildError
from kbuildpy.kernel.cache import cache_directory, read_json, write_json
from kbuildpy.kernel.config import parse_config
from kbuildpy.kernel.image import read_kernel
from kbuildpy.kernel.modules_directory import modules_directory
from kbuildpy.kernel.own_modules import OwnModules
from kbuildpy.kernel.release import Version, version_of
from kbuildpy.kernel.symvers import format_symvers, parse_symvers
from kbuildpy.loader.facts import Fact
from kbuildpy.loader.kernel import LoaderKernel
from kbuildpy.loader.kernels.exports import SymversExports
from kbuildpy.loader.kernels.image_state import image_state
from kbuildpy.loader.kernels.keys import keyring_of_image
from kbuildpy.loader.kernels.own_types import identity_of_types, types_of_image
from kbuildpy.loader.kernels.shipped import Shipped, read_shipped
from kbuildpy.loader.kernels.vmlinux import embedded_config, machine_of, vermagic_of, vmlinux_exports
from kbuildpy.loader.machines import WHOLE, listed

_FACTS = frozenset({"release", "stable", "machine", "vermagic", "config", "symvers"})
OLDEST = (5, 19)
"""The oldest kernel whose exports are read from an image: in an older one with CONFIG_MODULE_REL_CRCS, the table
__kcrctab has offsets of CRCs, not CRCs."""


def kernel_from_image(
    image: Path, modules: Path | None = None, *, config: Path | None = None, root: Path | None = None
) -> LoaderKernel:
    """Return the facts about the kernel in the file `image`.

    `modules` is its `lib/modules/RELEASE`, `config` its configuration. Both default to the places where distributions
    install them below `root`. `root` defaults to ROOT if `image` is in `ROOT/boot` or `ROOT/lib/modules/RELEASE`, else
    to `/`. Raises `KbuildError` if `image` is damaged or no kernel image, for a damaged module, and for modules of
    another kernel.
    """
    known = _facts_of_image(image)
    release = str(known["release"])
    top = root or _root_of(image)
    version = _version(release, image, known["stable"])
    missing: dict[Fact, str] = {}
    modules = modules or modules_directory(release, root=top)
    settings = _config(known["config"], config, _config_places(image, release, top, modules))
    if settings is None:
        missing[Fact.CONFIG] = f"it is not in {image}, and there is no config-{release} beside the image"
    shipped = None
    if modules is None:
        missing[Fact.OWN_MODULES] = f"there is no lib/modules/{release}/kernel below {top}"
        missing[Fact.STRUCT_MODULE] = "it is read from the kernel's own modules, which are missing"
    else:
        shipped = _shipped(modules, image, known["vermagic"], missing)
    vermagic = known["vermagic"] or (shipped.facts.vermagic if shipped and shipped.facts else None)
    if vermagic is None:
        missing[Fact.VERMAGIC] = f"it was not found in {image}"
    return LoaderKernel(
        release=release,
        version=version,
        machine=known["machine"],
        config=settings,
        vermagic=vermagic,
        struct_module=shipped.facts.struct_module if shipped and shipped.facts else None,
        exports=_exports(known["symvers"], shipped, image, version, missing, vermagic),
        wants_every_version=True if known["stable"] else None,
        keyring=partial(keyring_of_image, image),
        own_modules=OwnModules(modules) if modules else None,
        own_types=partial(types_of_image, image, version),
        types_identity=partial(identity_of_types, None, image, version),
        missing=missing,
    )


def _facts_of_image(image: Path) -> dict[str, Any]:
    """The facts in the image. They are kept in the user's cache, because unpacking takes a second."""
    cached = cache_directory() / "shipped" / f"{image_state('image 2', image)}.json"
    known = read_json(cached)
    if isinstance(known, dict) and known.keys() == _FACTS:
        return known
    kernel = read_kernel(image)
    machine = machine_of(kernel.contents)
    if machine not in WHOLE:
        raise KbuildError(f"{image}: a kernel of an unsupported architecture", hint=f"{listed(WHOLE)} are")
    rows = vmlinux_exports(kernel.contents, str(image))
    facts = {
        "release": kernel.release,
        "stable": stable_version_of(kernel.contents, kernel.release),
        "machine": machine,
        "vermagic": vermagic_of(kernel.contents, kernel.release),
        "config": embedded_config(kernel.contents),
        "symvers": None if rows is None else "".join(format_symvers(rows)),
    }
    write_json(cached, facts)
    return facts


def _root_of(image: Path) -> Path:
    """The root directory of the system that `image` is installed in, derived from its path."""
    parent = image.absolute().parent
    if parent.name == "boot":
        return parent.parent
    if parent.parent.name == "modules" and parent.parent.parent.name == "lib":
        top = parent.parent.parent.parent
        return top.parent if top.name == "usr" else top
    return Path("/")


def stable_version_of(kernel: bytes, release: str) -> list[int] | None:
    """Major, minor and stable number in the kernel's banner, where a distribution has them: Debian's `6.1.0-56-amd64`
    ends with "Debian 6.1.192-2". None if there are none."""
    banner = re.search(rb"Linux version %s \([^\n\0]{0,600}" % re.escape(release.encode()), kernel)
    found = re.search(rb" Debian (\d+)\.(\d+)\.(\d+)", banner[0]) if banner else None
    return [int(number) for number in found.groups()] if found else None


def _version(release: str, image: Path, stable: Sequence[int] | None) -> Version:
    try:
        version = version_of(release)
        return tuple(stable) if stable and tuple(stable[:2]) == version[:2] else version
    except ValueError as error:
        raise KbuildError(f"{image}: the release {release} does not begin with a version") from error


def _config_places(image: Path, release: str, top: Path, modules: Path | None) -> list[Path]:
    """Where distributions put a kernel's configuration: beside the image, or among the modules."""
    places = [image.parent / f"config-{release}", top / "boot" / f"config-{release}", image.parent / "config"]
    return places if modules is None else [*places, modules / "config"]


def _config(embedded: str | None, named: Path | None, places: list[Path]) -> dict[str, str] | None:
    """The configuration: from the file `named`, else the one `embedded` in the image (CONFIG_IKCONFIG), else from the
    first readable file of `places`; None if there is none."""
    try:
        if named is not None:
            return parse_config(named.read_text(errors="surrogateescape"))
    except OSError as error:
        raise KbuildError(f"{named}: {error.strerror}") from error
    if embedded is not None:
        return parse_config(embedded)
    for place in places:
        with suppress(OSError):
            return parse_config(place.read_text(errors="surrogateescape"))
    return None


def _shipped(modules: Path, image: Path, vermagic: str | None, missing: dict[Fact, str]) -> Shipped:
    shipped = read_shipped(modules)
    if shipped.facts is None:
        missing[Fact.STRUCT_MODULE] = f"no module below {modules} has it"
    elif vermagic is not None and shipped.facts.vermagic != vermagic:
        raise KbuildError(
            f"{modules}: the modules belong to another kernel than {image}: their vermagic is "
            f"'{shipped.facts.vermagic}', the kernel's '{vermagic}'",
            hint="name the modules that came with this kernel",
        )
    return shipped


def _exports(
    own: str | None,
    shipped: Shipped | None,
    image: Path,
    version: Version,
    missing: dict[Fact, str],
    vermagic: str | None,
) -> SymversExports | None:
    reason = ""
    if version < OLDEST:
        reason = "they are read from images of 5.19 and later"
    elif own is None:
        reason = f"{image} has no table of sections to find them by"
    elif shipped is None:
        reason = "the exports of the kernel's own modules are not known"
    elif vermagic is None:
        reason = "whether the kernel compares symbol versions is not known"
    if own is None or shipped is None or vermagic is None or reason:
        missing[Fact.EXPORTS] = reason
        return None
    text = own + shipped.symvers
    symvers = parse_symvers(text.encode("utf-8", "surrogateescape"), image)
    return SymversExports(symvers, "modversions" in vermagic.split())
