# SPDX-License-Identifier: GPL-2.0-only
"""What all builders that users call have in common: what they are called with, and how they fail."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import SCons.Errors

from kbuildpy.errors import KbuildError, UsageError
from kbuildpy.scons.actions import of_os_error
from kbuildpy.scons.declaration_place import declaration_place
from kbuildpy.scons.keywords import check_names, file_nodes, given_modules


def modules_of_call(
    env: Any,
    call: str,
    builder: Callable[..., Any],
    modules: Any,
    source: Any,
    variables: Iterable[str],
    *,
    example: str,
    verb: str = "",
) -> list[Any]:
    """The nodes of the modules for `builder`, which users call as `call`.

    `modules` and `source` are two names of the same argument, `variables` are the other keywords. Raises `UsageError`
    for an unknown keyword, for files that are not modules, and with `verb` for an empty list; `example` shows how to
    call it.
    """
    check_names(call, builder, variables)
    nodes = file_nodes(env, call, given_modules(call, modules, source, example=example))
    if verb and not nodes:
        raise UsageError(f"{call}: no modules to {verb}", hint=f"name modules: {call}(ko)")
    return nodes


def stop_on_error(declare: Callable[[], list[Any]]) -> list[Any]:
    """Turn an error into SCons' own way of stopping: its place and message, no traceback, exit status 2."""
    try:
        return declare()
    except KbuildError as error:
        raise _stop(error) from error
    except OSError as error:
        raise _stop(of_os_error(error, where="reading the SConstruct")) from error


def _stop(error: KbuildError) -> SCons.Errors.StopError:
    hint = f"\n  {error.hint}" if error.hint else ""
    place = declaration_place()
    # (an error about an earlier declaration begins with the line of that)
    elsewhere = bool(place) and error.message.startswith(f"{place.partition(':')[0]}:")
    return SCons.Errors.StopError(f"kbuildpy: {'' if elsewhere else place}{error.message}{hint}")
