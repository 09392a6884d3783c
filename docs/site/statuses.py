# SPDX-License-Identifier: GPL-2.0-only
"""The page of exit statuses: the common ones, and what each command says of its own."""

from __future__ import annotations

import re

from docs.site.command_pages import epilog_of
from docs.site.markdown import prose
from kbuildpy import cli

PATH = "docs/reference/exit-statuses.md"


def statuses_page() -> dict[str, str]:
    """The page by its path."""
    parts = [
        """# Exit statuses

| status | meaning |
|---|---|
| 0 | done |
| 1 | the work failed: a build error, a refused module, a bad signature |
| 2 | the call was wrong: an argument, a path, a combination of options |
| 128 + N | ended by signal N: 130 by Ctrl-C, 141 where the reader of a pipe is gone (SIGPIPE), 143 by SIGTERM |

`./run` has the status of the command that it runs; its own are 1 where setting up failed, and 2 where something is
missing that it cannot set up.

What a command adds to this:

"""
    ]
    for name in cli.COMMANDS:
        text, _ = epilog_of(name)
        said = re.search(r"Exit status: (.*)", text.replace("\n", " "))
        if said:
            parts.append(f"[kbuildpy {name}](commands/{name}.md)\n: {prose(said[1])}\n\n")
    return {PATH: "".join(parts)}
