# SPDX-License-Identifier: GPL-2.0-only
"""The parameters of a module that is loaded: kernel/params.c.

`parse_args` is the stage. `arguments` splits the text, `param_table` reads the module's table, `param_values` sets a
parameter by its type, with `numbers`. `dyndbg` is the parameter that every module has; `destroy_params` is the access
to parameters when the module is removed.
"""
