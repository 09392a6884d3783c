"""modules_install: from a built module to the one that modprobe finds. Copied, stripped, signed, compressed, indexed.

The counterparts are scripts/Makefile.modinst and scripts/depmod.sh in the kernel tree. What they would do is asked
elsewhere and comes here as `InstallRules`; here it is done, each file whole or not at all.
"""
