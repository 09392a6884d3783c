# SPDX-License-Identifier: GPL-2.0-only
"""`kbuildpy check --script`: a sequence of loads and unloads."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable, Sequence

from kbuildpy.errors import KbuildError, UsageError
from kbuildpy.loader.kernel import LoaderKernel
from kbuildpy.loader.lifecycle.script import read_script, run_script
from kbuildpy.loader.lifecycle.step import ScriptStep, as_text


def check_script(args: argparse.Namespace, kernels: Sequence[LoaderKernel]) -> int:
    """Print the result of each step of the script with each kernel; 0 if all steps succeed."""
    try:
        text = args.script.read_text(errors="surrogateescape")
        read_script(text)
    except OSError as error:
        raise UsageError(f"{args.script}: {error.strerror}") from error
    except KbuildError as error:
        raise UsageError(f"{args.script}: {error.message}", hint=error.hint) from error
    done = True
    for kernel in kernels:
        if len(kernels) > 1 and args.format == "text":
            print(f"# {kernel.release}")
        steps = run_script(text, kernel, args.script.parent)
        done &= _print_steps(steps, kernel.release, format=args.format, quiet=args.quiet)
    return 0 if done else 1


def _print_steps(steps: Iterable[ScriptStep], release: str, *, format: str, quiet: bool) -> bool:
    """Print the results of a script's steps with kernel `release`; returns whether all succeeded."""
    done = True
    for step in steps:
        done &= step.done
        if format == "json":
            print(json.dumps({"kernel": release, **step.to_json()}))
        elif not (quiet and step.done):
            print(as_text(step))
    return done
