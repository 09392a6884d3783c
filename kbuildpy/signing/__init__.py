# SPDX-License-Identifier: GPL-2.0-only
"""Module signatures: keys, CMS, the trailer behind a module, verification.

The counterparts are scripts/sign-file.c and certs/ in the kernel tree, and crypto/asymmetric_keys/ for what the kernel
makes of a signature. Cryptography is the library's; what is assembled here is the message around it.

Signing: `choose_signer` finds key (`find_key`: a file's, `file_key`, or a token's, `pkcs11` and what begins so; both
are a `private_key`) and certificate (`signer_certificate`), which `open_signer` opens; `signer` signs one module,
`batch` many, which a `manifest` records. `intact` tells whether a module has this very signature already. The message
is made in `cms` of the ASN.1 in `structures`, and put behind the module in `trailer`. `keygen` makes keys.

Verifying: `verify` says of a module (`signature_state`) what `trust` makes of its signature, which `pkcs7` has parsed,
by the certificates in a `keyring`: out of files (`anchors`, `efi`) or out of a kernel (`kernel_image`). `chain` follows
those that came with the signature. What a kernel makes of a certificate is in `certificates`, and which it cannot load
in `loadable`. `refused` is the exception for a signature that the kernel's parser refuses. `describe` prints what
`verify` found out, and bytes as `modinfo_bytes` writes them.

Digests and their names are in `hashes`, public keys in `public_key` (their encoding in `public_key_info`), DER as bytes
in `der`; `read_file` reads the small files of both: keys, certificates, lists.
"""
