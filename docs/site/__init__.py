# SPDX-License-Identifier: GPL-2.0-only
"""Builds the documentation site: `./run docs`."""
