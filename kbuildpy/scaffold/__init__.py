# SPDX-License-Identifier: GPL-2.0-only
"""New module projects from templates, and project files for a directory that has modules already.

A template is a folder below `templates/modules/` with a manifest, `template.toml` (`manifest` reads it); `library`
finds templates, here or in a user's own folder. `project` is what the user chose: `names` and `licenses` check it,
`author` asks git. `render` makes the files, with what all projects share (`templates/shared/`), and `create` writes
them all or none of them.

For a directory that has modules, `existing` says which, by its Kbuild file or the Makefile that calls Kbuild
(`wrapper`), and `init_files` makes what it lacks.
"""
