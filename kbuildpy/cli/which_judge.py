# SPDX-License-Identifier: GPL-2.0-only
"""The part of `kbuildpy which` that asks a kernel: signature and loader. Imports cryptography."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable
from functools import cache, partial

from kbuildpy.errors import KbuildError, UsageError
from kbuildpy.kbuild.ask_module_facts import ask_module_facts
from kbuildpy.kernel.chosen import Need
from kbuildpy.kernel.enforcement import enforcement
from kbuildpy.kernel.resolve import resolve_release
from kbuildpy.loader.kernels.from_chosen import loader_kernel
from kbuildpy.signing.anchors import load_certificates
from kbuildpy.which.answer import ModuleAnswer
from kbuildpy.which.judge import JudgingKernel, judge, judging_kernel
from kbuildpy.which.look_up import LookedUp
from kbuildpy.which.place import KernelPlace


def judge_of(args: argparse.Namespace, place: KernelPlace) -> Callable[[LookedUp], ModuleAnswer]:
    """What gives the whole answer for a name that was looked up. Raises `UsageError` for a file of `--cert` without
    certificates."""
    for file in args.cert:
        try:
            load_certificates(file)
        except KbuildError as error:
            raise UsageError(f"--cert: {error.message}", hint=error.hint) from error
    kernel = cache(partial(_kernel, args, place))
    return lambda looked: judge(looked, place, kernel)


def _kernel(args: argparse.Namespace, place: KernelPlace) -> JudgingKernel:
    root = place.system.root
    chosen = resolve_release(place.release, Need.EITHER, root=root)
    kernel = loader_kernel(chosen, partial(ask_module_facts, environ=os.environ), root=root)
    enforced, locked = enforcement(root)
    return judging_kernel(
        kernel,
        chosen.tree,
        place,
        files=args.cert,
        sig_enforce=args.sig_enforce or enforced,
        lockdown=args.lockdown or locked,
    )
