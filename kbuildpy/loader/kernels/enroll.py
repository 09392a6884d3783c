# SPDX-License-Identifier: GPL-2.0-only
"""Adds certificates to a kernel's keyring. Imports cryptography; only `keys` imports this module, when it needs it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from kbuildpy.errors import KbuildError
from kbuildpy.loader.facts import Fact
from kbuildpy.loader.kernel import LoaderKernel
from kbuildpy.signing.anchors import load_certificates
from kbuildpy.signing.keyring import Keyring


def enroll(kernel: LoaderKernel, files: Sequence[Path]) -> LoaderKernel:
    """See `keys.with_certificates`."""
    certificates = [item for file in files for item in load_certificates(file)]
    built_in = None
    missing = kernel.missing
    if kernel.keyring is not None:
        try:
            built_in = kernel.keyring()
        except KbuildError as error:
            missing = {**missing, Fact.CERTIFICATES: error.message}
    keyring = (built_in or Keyring.of(kernel.release)).plus(certificates)
    return replace(kernel, keyring=lambda: keyring, keyring_complete=built_in is not None, missing=missing)
