# SPDX-License-Identifier: GPL-2.0-only
"""What happened when in a build: who ran beside whom, and who waited for what.

- `build_trace`: the steps of a build as values, and the way to its end.
- `chrome` (the trace format of Chrome and Perfetto), `picture` (SVG), `page` (HTML): the same written.
- `write`: the file that was asked for, in the form that its name says.
"""
