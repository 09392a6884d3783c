# SPDX-License-Identifier: GPL-2.0-only
"""Builds the site: `python -m docs.site [OUT]`, by default into build/docs.

Strict: a warning of Sphinx's is an error, such as a link that leads nowhere or a page that the navigation lacks.
"""

from __future__ import annotations

import sys
from pathlib import Path

from sphinx.cmd.build import build_main

from docs.site.accessible import make_accessible
from docs.site.assemble import assemble
from docs.site.message_pages import line_index

ROOT = Path(__file__).parents[2]


def build(out: Path, *, jobs: str = "auto") -> int:
    """Build the site into `out`, and return the exit status of Sphinx."""
    sources = out.with_name(f"{out.name}-sources")
    assemble(ROOT, sources)
    scripts = out / "_static"
    scripts.mkdir(parents=True, exist_ok=True)
    (scripts / "loader_lines.js").write_text(line_index(ROOT))
    config = ["-c", str(Path(__file__).parent)]
    strict = ["-W", "-n", "--keep-going"]
    status = int(build_main(["-b", "html", "-q", "-E", "-j", jobs, *strict, *config, str(sources), str(out)]))
    make_accessible(out)
    return status


if __name__ == "__main__":
    sys.exit(build(Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "build/docs"))
