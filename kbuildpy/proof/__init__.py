# SPDX-License-Identifier: GPL-2.0-only
"""Proof: what a module was built from, written down, signed, and tried again.

- `record`: what a build was made from, as a value; `places`: names of files that mean the same on another machine.
- `find_build`: the build that a module file comes from. `gather`: its record, from what the build left; `programs`: the
  compiler and the other programs, with versions and packages.
- `statement`: the record as an in-toto statement with SLSA provenance, and back. `envelope`: DSSE, without the
  cryptography, which is in `seal`. `read_proofs`: statements out of files.
- `reproduce`: builds again from the record and compares. `rebuild`: by kbuildpy and by make; `at_path`: in a fresh
  directory that is seen at the recorded path. `changed_inputs`: which inputs are others than recorded;
  `changed_module`: which sections and symbols differ.
- `sbom`: SPDX documents. `spdx`: their elements; `licences`: what sources and modules say of their licence.
"""
