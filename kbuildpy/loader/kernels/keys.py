# SPDX-License-Identifier: GPL-2.0-only
"""The keys that are built into a kernel image, kept in the user's cache: unpacking an image takes up to a second, and a
check of one signed module would do little else.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields, replace
from functools import lru_cache
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kbuildpy.errors import KbuildError
from kbuildpy.kernel.cache import cache_directory, read_json, write_json
from kbuildpy.kernel.depmod_indexes import ALIASES, state_of
from kbuildpy.loader.facts import Fact
from kbuildpy.loader.kernel import LoaderKernel

if TYPE_CHECKING:
    from kbuildpy.signing.keyring import Keyring

_CERTIFICATES = ("certificates", "revoked")


@lru_cache(maxsize=8)
def keyring_of_image(image: Path) -> Keyring:
    """The keyring that the kernel in `image` has when it starts. Raises `KbuildError` for an image that is damaged or
    has no keys."""
    from kbuildpy.signing.keyring import Keyring

    cached = cache_directory() / "shipped" / f"{image_state('keys 3', image)}.json"
    known = read_json(cached)
    names = {field.name for field in fields(Keyring)}
    if isinstance(known, dict) and known.keys() == names | {"aliases"}:
        aliases = known.pop("aliases")
        if aliases == _aliases(image, known["kernel"]):
            return _from_json(known, image)
    from kbuildpy.signing.kernel_image import load_kernel

    keyring = load_kernel(image)
    write_json(cached, _to_json(keyring) | {"aliases": _aliases(image, keyring.kernel)})
    return keyring


def with_certificates(kernel: LoaderKernel, files: Sequence[Path]) -> LoaderKernel:
    """A kernel in which the certificates of `files` are enrolled, beside those that it has.

    Where those are not known (there is no image of it, or a damaged one), the keyring is not complete: a signature that
    it does not verify may be trusted by the kernel. Raises `KbuildError` for a file that has no certificates.
    """
    if not files:
        return kernel
    from kbuildpy.signing.anchors import load_certificates
    from kbuildpy.signing.keyring import Keyring

    certificates = [item for file in files for item in load_certificates(file)]
    built_in = None
    missing = kernel.missing
    if kernel.keyring is not None:
        try:
            built_in = kernel.keyring()
        except KbuildError as error:
            missing = {**missing, Fact.CERTIFICATES: error.message}
    keyring = (built_in or Keyring(kernel.release)).plus(certificates)
    return replace(kernel, keyring=lambda: keyring, keyring_complete=built_in is not None, missing=missing)


def _aliases(image: Path, release: str) -> list[list[int]]:
    """The states of the lists of aliases, on which a keyring depends as well; [] for a list that does not exist."""
    from kbuildpy.signing.kernel_image import module_directories

    return [list(state_of(directory / ALIASES) or ()) for directory in module_directories(image, release)]


def _to_json(keyring: Keyring) -> dict[str, Any]:
    value = {field.name: getattr(keyring, field.name) for field in fields(keyring)}
    for name, item in value.items():
        if isinstance(item, frozenset):
            value[name] = sorted(item)
    return value | {name: [item.der.hex() for item in value[name]] for name in _CERTIFICATES}


def _from_json(value: dict[str, Any], image: Path) -> Keyring:
    from kbuildpy.signing.certificates import parse_certificate
    from kbuildpy.signing.keyring import Keyring

    for name in _CERTIFICATES:
        value[name] = tuple(parse_certificate(bytes.fromhex(der), str(image)) for der in value[name])
    values: dict[str, Any] = {name: frozenset(item) if isinstance(item, list) else item for name, item in value.items()}
    return Keyring(**values)


def image_state(kind: str, image: Path) -> str:
    """A key for facts of one `kind` about the file `image` in its present state. Raises `KbuildError` if it does not
    exist."""
    try:
        status = image.stat()
    except OSError as error:
        raise KbuildError(f"{image}: {error.strerror}") from error
    state = f"{kind}\n{image.resolve()}\n{status.st_mtime_ns} {status.st_size} {status.st_ino}"
    return blake2b(state.encode(errors="surrogateescape"), digest_size=16).hexdigest()
