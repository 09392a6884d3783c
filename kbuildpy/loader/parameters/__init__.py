# SPDX-License-Identifier: GPL-2.0-only
"""Sets the parameters of a module that is loaded: kernel/params.c.

`parse_args` is the stage. `arguments` splits the string of arguments, `param_table` reads the section `__param`,
`param_values` sets a parameter by its type, and `numbers` parses numbers. `dyndbg` is the parameter that every module
has. `destroy_params` frees the parameters when the module is removed.
"""
