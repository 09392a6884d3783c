# SPDX-License-Identifier: GPL-2.0-only
"""depmod's index of the modules of a package alone, for images in which modprobe looks for them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from kbuildpy.errors import KbuildError
from kbuildpy.package.format import BuildPlace
from kbuildpy.package.module_package import ModulePackage, PackageFile
from kbuildpy.package.payload_tree import read_tree
from kbuildpy.run import run


def module_index(
    modules: Sequence[PackageFile], package: ModulePackage, root: str, place: BuildPlace
) -> list[PackageFile]:
    """The files `modules.dep`, `modules.alias` and so on for `modules`, which are below `root`. Raises `KbuildError`
    where depmod fails."""
    base = place.scratch / "index"
    for module in modules:
        path = base / "usr" / Path(module.path).relative_to(root)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(module.contents)
    folder = base / "usr/lib/modules" / package.release
    # (depmod warns of both where they are missing)
    for name in ("modules.order", "modules.builtin"):
        (folder / name).touch()
    # Builds of depmod differ in where they look below the base: /lib/modules or /usr/lib/modules.
    (base / "lib").symlink_to("usr/lib")
    run(["depmod", "-b", base, package.release], env=place.environ)
    found = {path: contents for path, contents in read_tree(folder).items() if path.startswith("modules.")}
    if not found.get("modules.dep"):
        raise KbuildError(f"depmod made no index of the modules for {package.release}")
    return [PackageFile(f"{root}/lib/modules/{package.release}/{path}", contents) for path, contents in found.items()]
