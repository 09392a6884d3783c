"""The modules that are loaded, as a model: `loaded` is the kernel's list, `unload` what takes one out, `procfs` how it
is shown, `script` a sequence of loads and unloads.
"""
