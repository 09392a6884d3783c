# SPDX-License-Identifier: GPL-2.0-only
"""Adds to the wheel what kbuildpy writes itself: manual pages, and completion for shells (`kbuildpy completion`)."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class CustomBuildHook(BuildHookInterface):  # type: ignore[misc] # (of any type: see pyproject.toml)
    """See https://hatch.pypa.io: a hook of the build backend."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Write the files, and name them among the wheel's own (`share/` below the environment's prefix)."""
        if version == "editable" or self.target_name != "wheel":
            return
        self._made = tempfile.TemporaryDirectory(prefix="kbuildpy-wheel-")
        written = Path(self._made.name)
        command = [sys.executable, "-m", "kbuildpy", "completion", "--install", str(written)]
        subprocess.run(command, check=True, cwd=self.root, env={**os.environ, "PYTHONPATH": self.root})
        files = sorted(path for path in written.rglob("*") if path.is_file())
        if not files:
            raise RuntimeError("kbuildpy completion wrote no files")
        # (the hatchling of Debian 12 takes them in its settings alone)
        shared = build_data.get("shared_data", self.build_config.shared_data)
        for path in files:
            shared[str(path)] = path.relative_to(written).as_posix()

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:
        """Remove them when the wheel is written."""
        if hasattr(self, "_made"):
            self._made.cleanup()
