# SPDX-License-Identifier: GPL-2.0-only
"""A system extension (systemd-sysext(8)): NAME-RELEASE.raw, a file system that is laid over /usr.

modprobe finds the modules by lines of modprobe.d (`modprobe_config` says why). The file in extension-release.d has the
name of the image, or systemd refuses it; so the image is not to be renamed.

With `verity` there are a hash tree and a root hash beside the image, and with a key a signature of the root hash, under
the names that systemd looks for (NAME.verity, NAME.roothash, NAME.roothash.p7s).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from uuid import UUID

from kbuildpy.errors import KbuildError, UsageError
from kbuildpy.package.format import BuildPlace, BuiltFiles, PackageFormat, below_modules, no_check
from kbuildpy.package.modprobe_config import modprobe_config
from kbuildpy.package.module_package import ModulePackage, PackageFile
from kbuildpy.package.payload_tree import read_tree, write_tree
from kbuildpy.printable import printable
from kbuildpy.program_packages import require_installed
from kbuildpy.run import run

FILE_SYSTEMS = ("squashfs", "erofs")
_ROOT = "usr"
_ID = re.compile(r"[a-z0-9._-]+\Z")
_ROOT_HASH = re.compile(r"^Root hash:\s*([0-9a-f]{64})$", re.MULTILINE)


@dataclass(frozen=True)
class SysextWish:
    """What a user says about an extension."""

    file_system: str = "squashfs"
    os: str = "_any"
    """ID of os-release that it is for; `_any`: modules depend on the kernel, not on the distribution."""
    os_version: str = ""
    """VERSION_ID of os-release that it is for; "" for each."""
    level: str = ""
    """SYSEXT_LEVEL, in place of the version."""
    verity: bool = False
    key: str = ""
    """The file of the key that signs the root hash, "" for none."""
    cert: str = ""
    """Its certificate."""


def sysext(wish: SysextWish) -> PackageFormat:
    """The format. Raises `UsageError` for a wish that makes no sense."""
    for what, word in (("--os", wish.os), ("--os-version", wish.os_version), ("--level", wish.level)):
        if word and not _ID.match(word):
            raise UsageError(f"{what} {printable(word)}: not a word that os-release can have there")
    if wish.os == "_any" and (wish.os_version or wish.level):
        raise UsageError("--os-version and --level are of one distribution", hint="name it: --os ID")
    if bool(wish.key) != bool(wish.cert):
        raise UsageError("--verity-key and --verity-cert go together")

    def build(package: ModulePackage, place: BuildPlace) -> BuiltFiles:
        return _build(package, place, wish)

    def beside(package: ModulePackage) -> tuple[str, ...]:
        name, signed = extension_of(package), (".roothash.p7s",) if wish.key else ()
        return tuple(f"{name}{suffix}" for suffix in (".verity", ".roothash", *signed) if wish.verity or wish.key)

    return PackageFormat("sysext", lambda package: f"{extension_of(package)}.raw", no_check, build, _modules_in, beside)


def extension_of(package: ModulePackage) -> str:
    """What systemd calls the extension."""
    return f"{package.name}-{package.release}"


def extension_release(package: ModulePackage, wish: SysextWish) -> str:
    """The file by which systemd decides whether the extension fits the system (os-release(5))."""
    values = {
        "ID": wish.os,
        "VERSION_ID": "" if wish.level else wish.os_version,
        "SYSEXT_LEVEL": wish.level,
        "ARCHITECTURE": package.machines.systemd,
    }
    return "".join(f"{name}={value}\n" for name, value in values.items() if value)


def _build(package: ModulePackage, place: BuildPlace, wish: SysextWish) -> BuiltFiles:
    require_installed(_programs(wish), place.environ)
    name = extension_of(package)
    files = [
        *package.files(_ROOT),
        PackageFile(f"usr/lib/extension-release.d/extension-release.{name}", extension_release(package, wish).encode()),
        PackageFile(f"usr/lib/modprobe.d/{name}.conf", modprobe_config(package).encode(errors="surrogateescape")),
    ]
    root, image = place.scratch / "root", place.scratch / f"{name}.raw"
    write_tree(root, files, package.date)
    if wish.file_system == "erofs":
        _erofs(root, image, package, place)
    else:
        _squashfs(root, image, package, place)
    return BuiltFiles(image, _verity(image, package, place, wish) if wish.verity or wish.key else ())


def _programs(wish: SysextWish) -> list[str]:
    names = ["mkfs.erofs", "fsck.erofs"] if wish.file_system == "erofs" else ["mksquashfs", "unsquashfs"]
    return names + ["veritysetup"] * bool(wish.verity or wish.key) + ["openssl"] * bool(wish.key)


def _squashfs(root: Path, image: Path, package: ModulePackage, place: BuildPlace) -> None:
    # (without SOURCE_DATE_EPOCH, which mksquashfs refuses beside an option for the same)
    env = {name: value for name, value in place.environ.items() if name != "SOURCE_DATE_EPOCH"}
    date = str(package.date)
    words = ["-mkfs-time", date, "-all-time", date, "-all-root", "-no-xattrs", "-noappend", "-no-progress"]
    run(["mksquashfs", root, image, *words, "-quiet", "-processors", "1"], env=env)


def _erofs(root: Path, image: Path, package: ModulePackage, place: BuildPlace) -> None:
    # (chosen at random otherwise)
    identity = UUID(bytes=_identity(package, b"erofs")[:16], version=4)
    words = [f"-T{package.date}", "--all-root", "-x-1", f"-U{identity}"]
    run(["mkfs.erofs", "--quiet", *words, image, root], env=place.environ)


def _verity(image: Path, package: ModulePackage, place: BuildPlace, wish: SysextWish) -> tuple[Path, ...]:
    """The hash tree, the root hash and its signature, beside `image`."""
    tree, root_hash = image.parent / f"{image.stem}.verity", image.parent / f"{image.stem}.roothash"
    salt = _identity(package, b"salt").hex()
    identity = UUID(bytes=_identity(package, b"verity")[:16], version=4)
    done = run(["veritysetup", "format", f"--salt={salt}", f"--uuid={identity}", image, tree], env=place.environ)
    found = _ROOT_HASH.search(done.text)
    if found is None:
        raise KbuildError(f"veritysetup names no root hash: {printable(done.text.strip()[-200:])}")
    # (systemd reads the whole file)
    root_hash.write_text(found[1])
    if not wish.key:
        return (tree, root_hash)
    signature = image.parent / f"{image.stem}.roothash.p7s"
    words = ["openssl", "smime", "-sign", "-nocerts", "-noattr", "-binary", "-outform", "der"]
    run([*words, "-in", root_hash, "-inkey", wish.key, "-signer", wish.cert, "-out", signature], env=place.environ)
    return (tree, root_hash, signature)


def _identity(package: ModulePackage, purpose: bytes) -> bytes:
    """32 bytes that are the same for the same package."""
    found = sha256(purpose)
    for module in package.modules:
        found.update(f"{module.place}\0{module.digest}\0".encode())
    return found.digest()


def _modules_in(package: ModulePackage, path: Path, place: BuildPlace) -> dict[str, bytes]:
    folder = place.scratch / "unpacked"
    with path.open("rb") as file:
        head = file.read(4)
    if head == b"hsqs":
        run(["unsquashfs", "-quiet", "-no-progress", "-no-xattrs", "-dest", folder, path], env=place.environ)
    else:
        run(["fsck.erofs", f"--extract={folder}", path], env=place.environ)
    return below_modules(read_tree(folder), package, _ROOT)
