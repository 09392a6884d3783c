# SPDX-License-Identifier: GPL-2.0-only
"""`kbuildpy explain --symbol`: who exports a symbol, in which kernels."""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Iterator, Sequence
from typing import Any

from kbuildpy.errors import UsageError
from kbuildpy.kernel.chosen import Need
from kbuildpy.kernel.exported_symbol import SymbolExport, exported_symbol
from kbuildpy.kernel.release import release_order
from kbuildpy.kernel.resolve import resolve
from kbuildpy.printable import printable


def explain_symbols(args: argparse.Namespace) -> int:
    """Print what each kernel says of the symbols; 1 if one of them is exported by no kernel."""
    if args.words or args.diff:
        without = "--diff" if args.diff else " ".join(args.words)
        raise UsageError(
            "--symbol excludes objects, directories and --diff: kernels are asked for symbols",
            hint=f"leave out {printable(without)}; -k chooses the kernels",
        )
    found = resolve(args.kernels or ["all"], Need.TREE, environ=os.environ)
    trees = sorted((kernel.the_tree() for kernel in found), key=lambda tree: release_order(tree.release))
    status = 0
    for number, name in enumerate(args.symbols):
        facts = [exported_symbol(name, tree) for tree in trees]
        status = status if any(fact.exported for fact in facts) else 1
        if args.format == "json":
            for fact in facts:
                print(json.dumps(symbol_to_json(fact)))
        else:
            for line in [*([""] if number else []), *_lines(name, facts)]:
                print(printable(line))
    return status


def _lines(name: str, facts: Sequence[SymbolExport]) -> Iterator[str]:
    yield f"{name}: {_in_short(facts)}"
    width = max(len(fact.release) for fact in facts)
    for fact in facts:
        yield f"  {fact.release:{width}}  {_words(fact)}"
        for place in fact.headers:
            yield f"  {'':{width}}  {place.file}:{place.line}: {place.text}"


def _in_short(facts: Sequence[SymbolExport]) -> str:
    """Which of the kernels, from old to new, export the symbol."""
    having = [fact for fact in facts if fact.exported]
    if not having:
        return "exported by none of these kernels" if len(facts) > 1 else "not exported"
    if len(having) == len(facts):
        return "exported by all of these kernels" if len(facts) > 1 else "exported"
    first, last = facts.index(having[0]), facts.index(having[-1])
    if facts[first : last + 1] != having:
        return "exported by some of these kernels"
    parts = [f"new in {having[0].release}"] if first else []
    parts += [f"gone in {facts[last + 1].release}"] if last + 1 < len(facts) else []
    return ", ".join(parts)


def _words(fact: SymbolExport) -> str:
    if not fact.exported:
        headers = "headers have it:" if fact.headers else "no header defines or declares it"
        question = f"did you mean {fact.similar}?" if fact.similar else ""
        return ", ".join(filter(None, ["not exported", question, headers]))
    licence = "for GPL-compatible modules only" if fact.gpl_only else "for every licence"
    namespace = f", namespace {fact.namespace}" if fact.namespace else ""
    return f"{fact.owner}, {fact.license} ({licence}){namespace}, CRC 0x{fact.crc:08x}"


def symbol_to_json(fact: SymbolExport) -> dict[str, Any]:
    """The object of JSON for one symbol and kernel."""
    return {
        "symbol": fact.name,
        "kernel": fact.release,
        "exported": fact.exported,
        "owner": fact.owner or None,
        "license": fact.license or None,
        "gpl_only": fact.gpl_only if fact.exported else None,
        "namespace": fact.namespace or None,
        "crc": f"0x{fact.crc:08x}" if fact.exported else None,
        "headers": [{"file": each.file, "line": each.line, "text": each.text} for each in fact.headers],
        "similar": fact.similar or None,
    }
