# SPDX-License-Identifier: GPL-2.0-only
"""Puts the pages of the site together: the project's own documents, at the paths that they have in the project, and the
pages that are generated from the code.

So a link between two documents works in the project and on the site, and nothing generated is kept in the project.
"""

from __future__ import annotations

import re
import shutil
from pathlib import Path

from docs.site.builder_pages import builder_pages
from docs.site.command_pages import command_pages
from docs.site.link_titles import with_titles
from docs.site.message_pages import message_pages
from docs.site.navigation import SECTIONS
from docs.site.statuses import statuses_page
from docs.site.template_page import template_page

_LINK = re.compile(r"\]\(([^)#:]+)(?:#[^)]*)?\)")
_OWN = ("site", "reference")
"""Folders of docs/ that are not copied: the generator, and what it writes."""


_ON_THIS_SITE = """\
## On this site

- [Commands](reference/commands/index.md)
- [Builders of the SCons tool](reference/builders.md) and [variables](reference/variables.md)
- [Exit statuses](reference/exit-statuses.md)
- [Templates](reference/templates.md)
- [Every message of the kernel's loader](reference/loader-messages/index.md)
"""
"""What the page about the reference has besides, where the generated pages are."""


def generated_pages(root: Path) -> dict[str, str]:
    """The pages that are made from the code, by path."""
    return {
        **command_pages(),
        **builder_pages(),
        **statuses_page(),
        **template_page(),
        **message_pages(root),
    }


def assemble(root: Path, place: Path) -> None:
    """Write all pages below `place`, which is made anew."""
    shutil.rmtree(place, ignore_errors=True)
    for name in own_documents(root):
        _write(place / name, with_titles(root, name))
        for link in linked_files(root, name):
            _copy(root, place, link)
    for path in (root / "docs").rglob("*.svg"):
        _copy(root, place, str(path.relative_to(root)))
    for name, text in generated_pages(root).items():
        _write(place / name, text)
    _write(place / "index.md", index_page())
    reference = place / "docs/reference.md"
    reference.write_text(f"{reference.read_text()}\n{_ON_THIS_SITE}")


def own_documents(root: Path) -> list[str]:
    """The documents of the project, by path."""
    found = [str(path.relative_to(root)) for path in (root / "docs").rglob("*.md")]
    return sorted(
        [name for name in found if name.split("/")[1] not in _OWN]
        + ["README.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md", "tests/README.md", "sample_modules/README.md"]
    )


def linked_files(root: Path, name: str) -> list[str]:
    """The files of the project, other than documents, that a document links to."""
    folder = (root / name).parent
    paths = [(folder / link).resolve() for link in _LINK.findall((root / name).read_text())]
    return [str(path.relative_to(root)) for path in paths if path.suffix != ".md" and path.is_file()]


def index_page() -> str:
    """The first page."""
    trees = "".join(
        f"```{{toctree}}\n:caption: {caption}\n:hidden:\n\n{chr(10).join(names)}\n```\n\n"
        for caption, names in SECTIONS.items()
    )
    return f"""# kbuildpy

A Kbuild for SCons, in Python: it builds, checks, signs, installs and test-loads out-of-tree Linux kernel modules, with
the bytes of `make -C KDIR M=DIR modules` and the verdict of the kernel's `load_module()`.

- **New here?** The [tutorial](docs/tutorial.md) goes from an empty directory to a signed module that ran in QEMU.
- **A task?** The how-to pages in the navigation each reach one goal: [an existing Kbuild
  project](docs/how-to/existing-project.md), [many kernels](docs/how-to/many-kernels.md), [a release with a key in
  hardware](docs/how-to/release-key-in-hardware.md), and others.
- **A message?** [Every message of the kernel's loader](docs/reference/loader-messages/index.md), with what it means and
  what to do. Paste the line that `dmesg` shows into the search, with its names and numbers.
- **A detail?** [Commands](docs/reference/commands/index.md), [builders](docs/reference/builders.md),
  [variables](docs/reference/variables.md), [JSON](docs/json.md).
- **Why?** [The pipeline](docs/explanations/pipeline.md), [what a verdict is
  worth](docs/explanations/what-a-verdict-is-worth.md), [comparisons](docs/comparisons.md).

[The README](README.md) has all of it on one page.

{trees}"""


def _copy(root: Path, place: Path, name: str) -> None:
    target = place / name
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(root / name, target)


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
