# SPDX-License-Identifier: GPL-2.0-only
"""A system that gives programs no mount namespace of their own, as some containers do."""

REFUSING = [
    *("unshare", "--user", "--map-root-user"),
    *("sh", "-c", 'echo 0 >/proc/sys/user/max_mnt_namespaces && exec "$@"', "sh"),
]
"""What to put before a program's words."""
