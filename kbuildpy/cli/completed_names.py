# SPDX-License-Identifier: GPL-2.0-only
"""Names that shells complete and that kbuildpy's own files or DKMS tell: templates, checkers, sets of options.

`completed_values` names these functions. Each gets the positional words of the call, and returns values with
descriptions. What cannot be read gives no values.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress

from kbuildpy.cli.dkms import ACTIONS
from kbuildpy.dkms.places import DkmsPlaces
from kbuildpy.kernel_build.option_sets import option_set_names, read_option_sets
from kbuildpy.lint.checkers import CHECKERS
from kbuildpy.scaffold.library import all_templates


def templates(_: Sequence[str]) -> tuple[tuple[str, str], ...]:
    """The templates that come with kbuildpy."""
    return tuple((name, template.summary) for name, template in all_templates().items())


def template_options(positionals: Sequence[str]) -> tuple[tuple[str, str], ...]:
    """The options of the template that the call names, of all templates if it names none."""
    known = all_templates()
    named = [known[word] for word in positionals[:1] if word in known] or known.values()
    return tuple({option.name: option.summary for template in named for option in template.options}.items())


def option_sets(_: Sequence[str]) -> tuple[tuple[str, str], ...]:
    """The sets of options for small kernels."""
    # (one by one: some exclude each other)
    return tuple((name, read_option_sets([name])[0].summary) for name in option_set_names())


def checkers(_: Sequence[str]) -> tuple[tuple[str, str], ...]:
    """The checkers of sources."""
    return tuple((name, checker.summary) for name, checker in CHECKERS.items())


def dkms_words(positionals: Sequence[str]) -> tuple[tuple[str, str], ...]:
    """DKMS' actions, and behind one of them the packages that were added."""
    return dkms_packages(()) if positionals else tuple((action, "") for action in ACTIONS)


def dkms_packages(_: Sequence[str]) -> tuple[tuple[str, str], ...]:
    """The packages that DKMS or kbuildpy keep, as NAME/VERSION."""
    with suppress(OSError):
        return tuple((f"{name}/{version}", "") for name, version in DkmsPlaces().added())
    return ()
