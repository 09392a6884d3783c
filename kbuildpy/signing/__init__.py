"""Module signatures: keys, CMS, the trailer behind a module, verification.

The counterparts are scripts/sign-file.c and certs/ in the kernel tree, and crypto/asymmetric_keys/ for what the kernel
makes of a signature. Cryptography is the library's; what is assembled here is the message around it.
"""
