# SPDX-License-Identifier: GPL-2.0-only
"""Input that nobody vouches for, damaged at random, and put before the commands that read it."""
