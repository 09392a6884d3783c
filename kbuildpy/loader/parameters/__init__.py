"""The parameters of a module that is loaded: kernel/params.c.

`parse_args` is the stage. `arguments` cuts the text, `param_table` reads the module's table, `param_values` sets a
parameter as its type is set, with `numbers`; `memory` is the module's data and what pointers in it lead to. `dyndbg` is
the parameter that every module has, and `destroy_params` what is looked at again when the module goes.
"""
