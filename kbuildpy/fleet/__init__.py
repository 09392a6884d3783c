# SPDX-License-Identifier: GPL-2.0-only
"""Many modules for many kernels, as independent pieces of work: `kbuildpy matrix`.

A cell is one kernel with all modules (`cell`); `plan` makes the cells of a call. `work` carries out a cell: it runs the
commands of kbuildpy that a user would run (build, sign, check, run), and writes their results as records (`record`).
`contents` is the digest by which it recognizes the modules that the cell was planned for.

`matrix` gives cells to an executor (`executor`), and adds what they found to one stream of results (`results`), from
which an interrupted matrix goes on. `local` executes cells in processes on this machine, `dask` on the workers of a
Dask scheduler, `slurm` in a job array of Slurm, in whose tasks `slurm_task` works.

`overview` arranges the records by module and kernel; `table` and `page` show that in a terminal and a browser.
"""
