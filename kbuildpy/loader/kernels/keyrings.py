# SPDX-License-Identifier: GPL-2.0-only
"""The keyring of a kernel image, kept in the user's cache: unpacking an image takes up to a second, which is most of
the time for a check of one signed module. Imports cryptography; only `keys` imports this module, when it needs it.
"""

from __future__ import annotations

from dataclasses import fields
from functools import lru_cache
from pathlib import Path
from typing import Any

from kbuildpy.kernel.cache import cache_directory, read_json, write_json
from kbuildpy.kernel.depmod_indexes import ALIASES, KERNELS, state_of
from kbuildpy.loader.kernels.image_state import image_state
from kbuildpy.signing.certificates import parse_certificate
from kbuildpy.signing.kernel_image import load_kernel, module_directories
from kbuildpy.signing.keyring import Keyring

_CERTIFICATES = ("certificates", "platform", "revoked")


@lru_cache(maxsize=KERNELS)
def image_keyring(image: Path) -> Keyring:
    """See `keys.keyring_of_image`."""
    cached = cache_directory() / "shipped" / f"{image_state('keys 4', image)}.json"
    known = read_json(cached)
    names = {field.name for field in fields(Keyring)}
    if isinstance(known, dict) and known.keys() == names | {"aliases"}:
        aliases = known.pop("aliases")
        if aliases == _aliases(image, known["kernel"]):
            return _from_json(known, image)
    keyring = load_kernel(image)
    write_json(cached, _to_json(keyring) | {"aliases": _aliases(image, keyring.kernel)})
    return keyring


def _aliases(image: Path, release: str) -> list[list[int]]:
    """The states of the files modules.alias, because the keyring depends on them, too; [] for a missing file."""
    return [list(state_of(directory / ALIASES) or ()) for directory in module_directories(image, release)]


def _to_json(keyring: Keyring) -> dict[str, Any]:
    value = {field.name: getattr(keyring, field.name) for field in fields(keyring)}
    for name, item in value.items():
        if isinstance(item, frozenset):
            value[name] = sorted(item)
    return value | {name: [item.der.hex() for item in value[name]] for name in _CERTIFICATES}


def _from_json(value: dict[str, Any], image: Path) -> Keyring:
    for name in _CERTIFICATES:
        value[name] = tuple(parse_certificate(bytes.fromhex(der), str(image)) for der in value[name])
    values: dict[str, Any] = {name: frozenset(item) if isinstance(item, list) else item for name, item in value.items()}
    return Keyring(**values)
