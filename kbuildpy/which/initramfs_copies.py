# SPDX-License-Identifier: GPL-2.0-only
"""What a kernel's first file system has of a module: other bytes there are loaded before those on the disk."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from kbuildpy.kernel.depmod_scan import kmod_name
from kbuildpy.kernel.modprobe_config import FOLDERS, Directive, parse_modprobe_file
from kbuildpy.kernel.shell_pattern import matches
from kbuildpy.which.answer import InitramfsFile, WhichFinding
from kbuildpy.which.initramfs import IMAGES, Initramfs, remembered_initramfs
from kbuildpy.which.place import KernelPlace


class InImage(NamedTuple):
    """The copies of a module and of what it needs, and what is worth knowing about them."""

    files: tuple[InitramfsFile, ...] = ()
    findings: tuple[WhichFinding, ...] = ()


def in_initramfs(place: KernelPlace, digests: Mapping[str, tuple[str, str]]) -> InImage:
    """The copies of modules in the image for the kernel of `place`: `digests` has those of the files on the disk, by
    the modules' names (`initramfs.digests`). A system without an image has none."""
    image = next((f"/{each.format(place.release)}" for each in IMAGES if _is_file(place, each)), None)
    if image is None:
        return InImage()
    found = remembered_initramfs(place.system.real(image), place.release)
    files, findings = [], []
    if found.problem:
        findings.append(WhichFinding("initramfs", f"{image} could not be read as a whole: {found.problem}"))
    for module in found.modules:
        name = kmod_name(module.path)
        if name not in digests:
            continue
        digest, plain = digests[name]
        same = module.digest == digest or (bool(plain) and module.plain == plain)
        comparable = same or bool(plain and module.plain)
        files.append(InitramfsFile(image, module.path, same if comparable else None))
        if comparable and not same:
            findings.append(
                WhichFinding(
                    "initramfs",
                    f"{image} has another build of {name} ({module.path}): at boot that one comes first",
                    _renew(place),
                )
            )
    names = [name for name in digests if any(kmod_name(item.file) == name for item in files)]
    findings += _other_settings(place, image, found, names)
    return InImage(tuple(files), tuple(findings))


def _other_settings(place: KernelPlace, image: str, found: Initramfs, names: Sequence[str]) -> Iterator[WhichFinding]:
    """What modprobe.d in the image says of the modules `names`, and the system does not, and the other way round."""
    if not found.settings:
        return
    there = {_words(each): each for each in _of_image(found) if _is_about(each, names)}
    here = {_words(each): each for each in place.kmod.config.directives if _is_about(each, names) and _is_copied(each)}
    for words in here.keys() - there.keys():
        yield WhichFinding(
            "initramfs-settings", f"{image} was made without `{words}` of {here[words].place}", _renew(place)
        )
    for words in there.keys() - here.keys():
        yield WhichFinding("initramfs-settings", f"{image} still has `{words}` in {there[words].place}", _renew(place))


def _of_image(found: Initramfs) -> Iterator[Directive]:
    """The directives of modprobe.d in an image: of two files of one name, those of the first folder."""
    chosen: dict[str, tuple[str, str]] = {}
    texts = {f"/{name}": text for name, text in found.settings}
    for folder in FOLDERS:
        for path, text in texts.items():
            if posixpath.dirname(path) == folder:
                chosen.setdefault(posixpath.basename(path), (path, text))
    for _, (path, text) in sorted(chosen.items()):
        yield from parse_modprobe_file(text, path)


def _is_about(each: Directive, names: Sequence[str]) -> bool:
    if each.kind == "alias":
        return each.value in names
    return each.kind in ("blacklist", "options", "install", "softdep") and any(
        matches(each.key, name) for name in names
    )


def _is_copied(each: Directive) -> bool:
    """Whether a line is in a file that images have copies of."""
    return posixpath.dirname(each.file) in FOLDERS


def _words(each: Directive) -> str:
    return f"{each.kind} {each.key} {' '.join(each.value.split())}".rstrip()


def _is_file(place: KernelPlace, path: str) -> bool:
    try:
        return place.system.real(f"/{path.format(place.release)}").is_file()
    except OSError:
        return False


def _renew(place: KernelPlace) -> str:
    if place.system.exists("/usr/sbin/update-initramfs"):
        return f"update-initramfs -u -k {place.release}"
    return f"make the image again (dracut --force --kver {place.release})"
