"""The keys that are built into a kernel image, kept in the user's cache: unpacking an image takes up to a second, and a
check of one signed module would do little else.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from kbuildpy.errors import KbuildError
from kbuildpy.kernel.cache import cache_directory, read_json, write_json

if TYPE_CHECKING:
    from kbuildpy.signing.keyring import Keyring

_KEYS = {"kernel", "certificates", "revoked", "unknown", "waives"}


@lru_cache(maxsize=8)
def keyring_of_image(image: Path) -> Keyring:
    """The keyring that the kernel in `image` has when it starts. Raises `KbuildError` for an image that is damaged or
    has no keys."""
    from kbuildpy.signing.certificates import parse_certificate
    from kbuildpy.signing.keyring import Keyring

    cached = cache_directory() / "shipped" / f"{image_state('keys 1', image)}.json"
    known = read_json(cached)
    if isinstance(known, dict) and known.keys() == _KEYS:
        certificates, revoked = (
            tuple(parse_certificate(bytes.fromhex(der), str(image)) for der in known[name])
            for name in ("certificates", "revoked")
        )
        unknown = frozenset(known["unknown"])
        return Keyring(known["kernel"], certificates, revoked, unknown=unknown, waives_attributes=known["waives"])
    from kbuildpy.signing.kernel_image import load_kernel

    keyring = load_kernel(image)
    state = {
        "kernel": keyring.kernel,
        "certificates": [item.der.hex() for item in keyring.certificates],
        "revoked": [item.der.hex() for item in keyring.revoked],
        "unknown": sorted(keyring.unknown),
        "waives": keyring.waives_attributes,
    }
    write_json(cached, state)
    return keyring


def image_state(what: str, image: Path) -> str:
    """A name for `what` is known of the file `image` in its present state. Raises `KbuildError` if it is not there."""
    from hashlib import blake2b

    try:
        status = image.stat()
    except OSError as error:
        raise KbuildError(f"{image}: {error.strerror}") from error
    state = f"{what}\n{image.resolve()}\n{status.st_mtime_ns} {status.st_size} {status.st_ino}"
    return blake2b(state.encode(errors="surrogateescape"), digest_size=16).hexdigest()
