# SPDX-License-Identifier: GPL-2.0-only
"""How a message of the loader is provoked: by hand, by a damage of the referee, or why not by a file alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from docs.site.by_hand import BY_HAND, NEVER, Part
from docs.site.examples import Example, example_of
from docs.site.loader_messages import Message
from docs.site.markdown import bullets, code, prose
from docs.site.message_titles import MACHINES, machine_of
from tests.vm.referee.damage_words import words_of


def how_to_provoke(message: Message, examples: Sequence[Example]) -> str:
    """One or two ways to see the message, or why there is none; "" if nothing is known."""
    ways = []
    by_hand = _row(BY_HAND, message)
    if by_hand:
        ways.append(f"By hand: {by_hand}.")
    example = example_of(message, examples)
    if example is not None:
        said = [code(text) for text in (example.line,) if text] + [prose(text) for text in (example.reason,) if text]
        ways.append(
            f"By damage: {prose(words_of(example.case))}. A kernel of {example.kernel} then says, or `kbuildpy "
            f"check` for it:"
            f"\n\n{bullets(said)}\n(The referee's damage {code(example.case)}.)"
        )
    if not ways:
        never = _row(NEVER, message) or _of_another_machine(message)
        ways += [f"Not by a file alone. {never}"] if never else []
    return "\n\n".join(ways)


def _of_another_machine(message: Message) -> str:
    """Why there is nothing to do on x86-64; "" for messages that have nothing to do with a machine."""
    machine = machine_of(message.file)
    if machine in ("", MACHINES["x86_64"]):
        return ""
    return (
        f"It needs a kernel for {machine}, and a module for it whose relocations or tables are wrong, as a compiler "
        f"for that "
        "machine does not write them. The long runs of the tests have such modules."
    )


def _row(table: Mapping[Part, str], message: Message) -> str:
    """The text of a table for a message."""
    text = " ".join(message.logged) or " ".join(message.reasons)
    reasons = " ".join(message.reasons)
    for part, words in table.items():
        first, second = part if isinstance(part, tuple) else (part, "")
        if (first in text or (first in reasons and isinstance(part, str))) and second in reasons:
            return words
    return ""
