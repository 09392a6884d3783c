# SPDX-License-Identifier: GPL-2.0-only
"""Kernel trees of a few files: as much of one as is looked at without running make."""

from __future__ import annotations

from pathlib import Path

TOP_MAKEFILE = "VERSION = 6\nPATCHLEVEL = 1\ninclude $(srctree)/scripts/Kbuild.include\n$(MAKE) -C $(objtree)/tools\n"


def fake_source(directory: Path) -> Path:
    """A source part: the top Makefile and Kbuild's own."""
    (directory / "scripts").mkdir(parents=True)
    (directory / "Makefile").write_text(TOP_MAKEFILE)
    (directory / "scripts/Kbuild.include").touch()
    return directory


def fake_tree(
    directory: Path,
    release: str = "6.1.0-56-amd64",
    *,
    source: Path | None = None,
    makefile: str = "",
    config: str = "CONFIG_X86=y\nCONFIG_64BIT=y\n",
) -> Path:
    """A prepared object part whose `makefile` (default: Debian's) names `source`; without one, built in place."""
    if source is None:
        fake_source(directory)
    else:
        directory.mkdir(parents=True, exist_ok=True)
        (directory / "Makefile").write_text(makefile or f"include {source}/Makefile\n")
    (directory / "include/config").mkdir(parents=True)
    (directory / "include/generated").mkdir()
    (directory / "include/config/auto.conf").write_text(config)
    (directory / "include/config/kernel.release").write_text(f"{release}\n")
    (directory / "include/generated/autoconf.h").touch()
    (directory / "include/generated/utsrelease.h").write_text(f'#define UTS_RELEASE "{release}"\n')
    return directory
