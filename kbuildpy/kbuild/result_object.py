# SPDX-License-Identifier: GPL-2.0-only
"""The object that `kbuildpy build --format json` prints for a module and a kernel."""

from __future__ import annotations

from collections.abc import Sequence


def result_object(
    kernel: str,
    file: str | None = None,
    name: str | None = None,
    *,
    built: bool = False,
    made: bool = False,
    error: str | None = None,
    skipped: str | None = None,
    help_objects: Sequence[dict[str, object]] = (),
) -> dict[str, object]:
    """The result of a module (its `.ko` is `file`) for the release `kernel`; without a file that of the whole kernel.

    `built` says that the module is there as it should be, `made` that this run made it, `error` why it is not there,
    `skipped` why a dkms.conf leaves the kernel out. `help_objects` are what `Advice.to_json()` gives.
    """
    return {
        "file": file,
        "kernel": kernel,
        "name": name,
        "built": built,
        "made": made,
        "error": error,
        "skipped": skipped,
        "help": list(help_objects),
    }
