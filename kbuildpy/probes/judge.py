# SPDX-License-Identifier: GPL-2.0-only
"""What the compiler's messages about a probe mean: yes, no, or that the probe itself is wrong.

A probe that does not compile says no only for what it asks. A syntax error, or an error in the arguments of a call, is
the author's: "no" would be a wrong answer that nobody notices.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from kbuildpy.errors import KbuildError
from kbuildpy.probes.diagnostics import CompilerMessage
from kbuildpy.probes.probe import Probe, called_name

_SYNTAX = re.compile(
    r"expected |stray |missing terminating|unterminated|invalid suffix|missing binary operator|extraneous |"
    r"empty character constant|unknown type name 'kbuildpy|called object is not|break statement not within|"
    r"continue statement not within|case label not within|'else' without|label '.*' used but not defined|"
    r"(?:use of undeclared label|invalid preprocessing directive|#(?:if|elif|else|endif))"
)
_HINT = "'no' would be a guess: correct the probe. If the macro itself may be missing, ask with declared='NAME'"


def judge(probe: Probe, messages: Sequence[CompilerMessage]) -> bool:
    """Whether `probe`, about which the compiler says `messages`, is answered with yes.

    Raises `KbuildError` for one that does not compile for another reason than what it asks.
    """
    wrong = [message for message in messages if message.is_error or probe.strict]
    if not wrong:
        return True
    if probe.kind not in ("call", "source"):
        return False  # (its text was checked, and is nothing but the question)
    errors = [message for message in wrong if message.is_error]
    first = errors[0] if errors else wrong[0]
    if probe.kind == "call":
        name = called_name(probe)
        about = [message for message in wrong if re.search(rf"['\"]{name}['\"]", message.text)]
        if about:
            return False
        raise _other_reason(probe, first, f"for another reason than {name}")
    if first.is_error and _SYNTAX.match(first.text) and not first.text.startswith("#error"):
        raise _other_reason(probe, first, "because of its syntax")
    return False


def _other_reason(probe: Probe, message: CompilerMessage, reason: str) -> KbuildError:
    part = "outside" if message.part == "outside" else probe.kind
    return KbuildError(
        f"{probe.where()}: line {message.line} of {part}: does not compile {reason}: {message.text}", hint=_HINT
    )
