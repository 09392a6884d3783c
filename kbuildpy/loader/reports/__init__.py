# SPDX-License-Identifier: GPL-2.0-only
"""Verdicts as text for people (`describe`), as SARIF for code scanning (`sarif`), as JUnit XML for CI (`junit`)."""
