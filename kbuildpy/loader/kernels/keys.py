# SPDX-License-Identifier: GPL-2.0-only
"""The keys of a kernel: the gate to `keyrings` and `enroll`, which import cryptography. Most checks need no key."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from kbuildpy.loader.kernel import LoaderKernel

if TYPE_CHECKING:
    from kbuildpy.signing.keyring import Keyring


def keyring_of_image(image: Path) -> Keyring:
    """The keyring that the kernel in `image` has when it starts. Raises `KbuildError` for an image that is damaged or
    has no keys."""
    from kbuildpy.loader.kernels.keyrings import image_keyring

    return image_keyring(image)


def with_certificates(kernel: LoaderKernel, files: Sequence[Path]) -> LoaderKernel:
    """A kernel in which the certificates of `files` are enrolled, beside those that it has.

    Where those are not known (there is no image of it, or a damaged one), the keyring is not complete: a signature that
    it does not verify may be trusted by the kernel. Raises `KbuildError` for a file that has no certificates.
    """
    if not files:
        return kernel
    from kbuildpy.loader.kernels.enroll import enroll

    return enroll(kernel, files)
