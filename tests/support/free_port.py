# SPDX-License-Identifier: GPL-2.0-only
"""A port of this machine that nothing listens at."""

from __future__ import annotations

import socket


def free_port() -> int:
    """The number of such a port of 127.0.0.1."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])
