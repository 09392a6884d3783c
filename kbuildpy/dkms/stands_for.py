# SPDX-License-Identifier: GPL-2.0-only
"""The DKMS whose commands, files and statuses are the model: what `--version` prints, and what the package provides."""

from __future__ import annotations

DKMS_VERSION = "3.0.10"
