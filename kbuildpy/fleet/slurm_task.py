# SPDX-License-Identifier: GPL-2.0-only
"""The work of one task of Slurm's: its share of the cells, one after the other."""

from __future__ import annotations

import json
from pathlib import Path

from kbuildpy.errors import UsageError
from kbuildpy.fleet.cell import read_cell
from kbuildpy.fleet.executor import Attempt
from kbuildpy.fleet.local import in_local_processes
from kbuildpy.fleet.slurm import ending_file


def work_on_share(listing: Path, share: str, *, jobs: int) -> None:
    """Carry out the cells of the task I of N (`share`: "I/N", I from 0 on) in the file `listing`, and write down how
    each ended. A task that Slurm has begun again leaves out what is done.

    Raises `UsageError` for a share that is none, `OSError` and `ValueError` for a file without cells.
    """
    number, _, count = share.partition("/")
    if not (number.isdecimal() and count.isdecimal() and int(number) < int(count)):
        raise UsageError(f"--task {share}: not a part of a whole")
    for file, word in json.loads(listing.read_text())[int(number) :: int(count)]:
        place = Path(word)
        if ending_file(place).exists() or place.exists():
            continue
        attempt = Attempt(read_cell(Path(file)), Path(file), place, 1)
        for ended in in_local_processes([attempt], jobs=jobs):
            beside = place.with_name(f"{place.name}.ending")
            beside.write_text(json.dumps([ended.reason, ended.seconds]))
            beside.rename(ending_file(place))
