# SPDX-License-Identifier: GPL-2.0-only
"""Sphinx's configuration. Nothing of the site comes from elsewhere: no fonts, no scripts, no search service."""

from __future__ import annotations

from sphinx.application import Sphinx

from kbuildpy import __version__

project = "kbuildpy"
author = "The kbuildpy developers"
copyright = "The kbuildpy developers. GPL-2.0-only"
release = version = __version__
language = "en"

extensions = ["myst_parser"]
source_suffix = {".md": "markdown"}
exclude_patterns: list[str] = []
nitpicky = True
# Headings have the anchors that GitHub gives them, so links work in the repository and here.
myst_heading_anchors = 4
# An option is written with two hyphens, also outside of code.
smartquotes = False
myst_enable_extensions = ["deflist"]
# Some pages begin with a table or a list, and CHANGELOG.md goes from one level to the third.
suppress_warnings = ["myst.header"]

html_theme = "furo"
html_title = f"kbuildpy {__version__}"
html_static_path = ["static"]
html_favicon = "static/icon.svg"
html_css_files = ["site.css"]
html_use_index = False
html_copy_source = False
html_show_sourcelink = False
html_show_sphinx = False
html_permalinks_icon = "#"


def setup(app: Sphinx) -> None:
    """Have the page of the search, and that alone, take lines of a kernel's log."""
    app.connect("html-page-context", _add_scripts)


def _add_scripts(app: Sphinx, page: str, *_: object) -> None:
    if page == "search":
        # (loader_lines.js is written by `docs.site.__main__`)
        app.add_js_file("loader_lines.js", loading_method="defer")
        app.add_js_file("search_lines.js", loading_method="defer")
