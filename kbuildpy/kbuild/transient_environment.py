# SPDX-License-Identifier: GPL-2.0-only
"""The variables that batch systems and CI services set anew for each job: numbers, names and addresses of it.

Kept answers would be of no use to the next job if they depended on these. Most often they do not: make can use a
variable only by a name that it reads in a makefile or in another variable's value. So an answer depends on them only if
one of the files that it was made from mentions one. (What a program reads of the environment that make runs, such as a
compiler, is not seen, unless it is a script.)
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from kbuildpy.kbuild.stamps import digest

_FAMILIES = (
    *("SLURM_", "SLURMD_", "SBATCH_", "SRUN_", "PBS_", "SGE_", "LSB_", "DASK_", "__DASK_", "KUBERNETES_"),
    "AUTOPKGTEST_",
    *("GITHUB_", "RUNNER_", "ACTIONS_", "CI_", "GITLAB_", "JENKINS_", "HUDSON_", "BUILDKITE_", "CIRCLE_", "TRAVIS_"),
    *("APPVEYOR_", "DRONE_", "TEAMCITY_", "AGENT_", "SYSTEM_", "BITBUCKET_", "SEMAPHORE_", "CODEBUILD_", "GITEA_"),
)
"""What the names of variables of one system begin with."""
_NAMES = (
    *("BUILD_ID", "BUILD_NUMBER", "BUILD_TAG", "BUILD_URL", "BUILD_DISPLAY_NAME", "BUILD_BUILDID", "BUILD_BUILDNUMBER"),
    *(
        "JOB_ID",
        "JOB_NAME",
        "JOB_URL",
        "JOB_BASE_NAME",
        "JOB_DISPLAY_URL",
        "RUN_DISPLAY_URL",
        "RUN_CHANGES_DISPLAY_URL",
    ),
    *(
        "EXECUTOR_NUMBER",
        "NODE_NAME",
        "NODE_LABELS",
        "STAGE_NAME",
        "WORKSPACE_TMP",
        "HOSTNAME",
        "TMPDIR",
    ),
)
"""Other names."""
_MENTIONED = re.compile(
    rf"(?<![A-Za-z0-9_])(?:(?:{'|'.join(_FAMILIES)})|(?:{'|'.join(_NAMES)})(?![A-Za-z0-9_]))|\.VARIABLES\b".encode()
)
_LONGEST = 8 << 20
"""Bytes of a file up to which it may be a text that make or a shell reads."""


def is_transient(name: str) -> bool:
    """Whether the variable `name` is new in each job."""
    return name.startswith(_FAMILIES) or name in _NAMES


def transient_key(variables: Mapping[str, str]) -> str:
    """A digest of the transient ones of `variables`."""
    return digest(sorted(item for item in variables.items() if is_transient(item[0])))


def mentions_transient(files: Iterable[str], variables: Mapping[str, str]) -> bool:
    """Whether one of `files`, or the value of another one of `variables`, mentions a transient variable, or all
    variables. A file that cannot be read mentions none: it is not there."""
    values = [value for name, value in variables.items() if "$" in value and not is_transient(name)]
    return any(_MENTIONED.search(value.encode(errors="surrogateescape")) for value in values) or any(
        map(_mentions, files)
    )


def _mentions(path: str) -> bool:
    if path.endswith((".h", ".symvers")):
        return False  # neither make nor a shell reads it
    try:
        with Path(path).open("rb") as file:
            text = file.read(_LONGEST)
    except OSError:
        return False
    # (a compiler or an image of a kernel is neither makefile nor script)
    return b"\0" not in text[:4096] and bool(_MENTIONED.search(text))
