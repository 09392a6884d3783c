# SPDX-License-Identifier: GPL-2.0-only
"""Where a program can have no mount namespace, as in many containers."""

from __future__ import annotations

REFUSING = [
    *("unshare", "--user", "--map-root-user"),
    *("sh", "-c", 'echo 0 >/proc/sys/user/max_mnt_namespaces && exec "$@"', "sh"),
]
"""Words before a program's: it runs where it can have no mount namespace of its own."""
