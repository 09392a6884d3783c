# SPDX-License-Identifier: GPL-2.0-only
"""The keys of a kernel. Imports `keyrings` and `enroll`, which import cryptography, only when a key is needed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from kbuildpy.loader.kernel import LoaderKernel

if TYPE_CHECKING:
    from kbuildpy.signing.keyring import Keyring


def keyring_of_image(image: Path) -> Keyring:
    """Return the keys that are built into the kernel in `image`. Raises `KbuildError` for an image that is damaged or
    has no keys."""
    from kbuildpy.loader.kernels.keyrings import image_keyring

    return image_keyring(image)


def with_certificates(kernel: LoaderKernel, files: Sequence[Path]) -> LoaderKernel:
    """Return `kernel` with the certificates of `files` added to its keyring.

    If its built-in keys are not known (the image is missing or damaged), the result has `keyring_complete=False`.
    Raises `KbuildError` for a file without certificates.
    """
    if not files:
        return kernel
    from kbuildpy.loader.kernels.enroll import enroll

    return enroll(kernel, files)
