# SPDX-License-Identifier: GPL-2.0-only
"""Writes examples.tsv: for each message of the loader check a named damage that provokes it.

    python -m tests.vm.referee.write_examples [LINE ...]

LINE is a line of kernels of the tests (6.12, 6.1, 7.3, 6.1-arm64, 6.12-riscv64, i386, ...), by default 6.12 and 6.1. Of
a line that is not named, what the file has stays.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from docs.site.examples import Example, example_of, fits, read_examples, write_examples
from docs.site.loader_messages import all_messages
from kbuildpy.kernel.architecture import architecture_of, is_native
from kbuildpy.loader.kernel import LoaderKernel
from kbuildpy.loader.verdict import Verdict
from tests.support.documents import ROOT
from tests.support.guest_kernels import image_of, tree_called
from tests.vm.referee.bases import build_bases
from tests.vm.referee.cases import Bases, Case
from tests.vm.referee.compare import judged
from tests.vm.referee.damage import second_damages
from tests.vm.referee.kernels import loader_kernel
from tests.vm.referee.sweep import named_cases


def cases_with_examples(bases: Bases) -> Iterator[Case]:
    """The named damages of one kernel, also those that need a boot of their own."""
    yield from named_cases(bases)
    if is_native(architecture_of(bases.tree), "x86_64"):
        yield from second_damages(bases)


def examples_of(line: str, case: Case, verdict: Verdict) -> Iterator[Example]:
    """What is said of a case, once for each line of the log, that of the refusal first."""
    lines = dict.fromkeys([verdict.log or "", *verdict.lines])
    for text in lines:
        yield Example(line, case.name, verdict.errno or "", verdict.stage or "", text, verdict.reason or "")


def written(line: str, cases: Iterator[Case], kernel: LoaderKernel, known: Sequence[Example]) -> list[Example]:
    """`known`, and examples of a line of kernels for those messages that it has none of."""
    found = [*known]
    missing = [message for message in all_messages(ROOT) if example_of(message, found) is None]
    for case in cases:
        for example in examples_of(line, case, judged(case, kernel)):
            fitting = [message for message in missing if fits(message, example)]
            if fitting:
                found.append(example)
                missing = [message for message in missing if message not in fitting]
    return found


def main(lines: Sequence[str]) -> None:
    """Write the file."""
    examples = [example for example in read_examples(ROOT) if example.kernel not in lines]
    for line in lines:
        tree = tree_called(line)
        with tempfile.TemporaryDirectory() as place:
            bases = build_bases(tree, Path(place))
            kernel = loader_kernel(tree, image_of(tree))
            examples = written(line, cases_with_examples(bases), kernel, examples)
    write_examples(ROOT, examples)
    for message in all_messages(ROOT):
        if example_of(message, examples) is None:
            print(f"no damage: {message.file}:{message.number}: {message.title}", file=sys.stderr)


if __name__ == "__main__":
    main(sys.argv[1:] or ["6.12", "6.1"])
