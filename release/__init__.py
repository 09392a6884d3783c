# SPDX-License-Identifier: GPL-2.0-only
"""What makes and checks the project's own packages (docs/releasing.md). No part of what is installed."""
