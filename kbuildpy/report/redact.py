# SPDX-License-Identifier: GPL-2.0-only
"""Takes out of a text what is private or secret. In doubt it takes out more: what stays is a list, not what goes.

Of absolute paths only those of the system stay, and those below the directories that the report is about. Other paths
become `<path-1>` with the ending of the file, the same one each time. Of addresses of the network only those of well
known public hosts stay.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable

from kbuildpy.report.private import Private

_PRIVATE_KEY = re.compile(
    r"-----BEGIN [A-Z0-9 ]*PRIVATE KEY(?: BLOCK)?-----.*?(?:-----END [A-Z0-9 ]*PRIVATE KEY(?: BLOCK)?-----|\Z)",
    re.DOTALL,
)
_PKCS11 = re.compile(r"pkcs11:[^\s'\"]+")
_URL = re.compile(r"(?P<scheme>[a-zA-Z][a-zA-Z0-9+.-]*)://(?P<rest>[^\s'\"<>\\)\]]+)")
_PUBLIC = re.compile(
    r"^(?:[\w.-]+\.)?(?:kernel\.org|github\.com|debian\.org|ubuntu\.com|fedoraproject\.org|archlinux\.org|opensuse\.org"
    r"|alpinelinux\.org|python\.org|gnu\.org|in-toto\.io|slsa\.dev|spdx\.org|spdx\.dev)(?=[/:?#]|$)"
)
_TOKENS = re.compile(
    r"\b(?:gh[pousr]_\w{16,}|github_pat_\w{16,}|glpat-[\w-]{16,}|xox[abpors]-[\w-]{10,}|(?:AKIA|ASIA)[A-Z0-9]{16}"
    r"|eyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]*|sk-[\w-]{20,})"
)
_BEARER = re.compile(
    r"(?i)\b(?P<name>bearer|basic|authorization:|proxy-authorization:)\s+(?!<)[^\s'\"]+(?:[ \t]+(?!<)[\w.~+/=-]{8,})?"
)
_SECRET_WORD = (
    r"(?:[\w.-]*(?:secret|token|passw|passphrase|credential|auth|api[_-]?key|private)[\w.-]*"
    r"|(?:[\w.-]*[_-])?(?:key|pin|pwd|pass))"
)
_VALUE = r"(?P<value>(?!<)(?:\"(?:[^\"\\]|\\.)*\"|'[^']*'|[^\s'\",;&}\]]+))"
_ASSIGNED = re.compile(
    rf"(?i)(?P<name>(?<![\w.-])-{{0,2}}(?:-D)?{_SECRET_WORD})(?P<between>[\"']?\s*[=:]\s*|(?<=[\"']),\s*){_VALUE}"
)
"""NAME=VALUE, NAME: VALUE, and the same as JSON has it."""
_OPTION_VALUE = re.compile(rf"(?i)(?P<name>(?<![\w.-])--?{_SECRET_WORD})(?P<between>[\"']?,?[ \t]+)(?!-){_VALUE}")
"""--name VALUE."""
_KEY_OPTION = re.compile(
    r"(?P<name>--(?:key|cert|cert-dir|delegate-of|delegate-cert|cache-key|verity-key|verity-cert|mok|revoked)|\b(?:key|cert)=)"
    r"(?P<between>[= ]|\", \")(?P<value>(?!<|--)[^\s'\",]+)"
)
_KEY_FILE = re.compile(r"[^\s'\"<>=:,;()\[\]]*\.(?:pem|key|priv|p12|pfx|crt|cer|x509|der|pin|gpg|asc)\b")
_ADDRESS = re.compile(r"[\w.+%-]+@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+")
_IPV4 = re.compile(r"(?<![\w.+-])(?!127\.|0\.0\.0\.0)\d{1,3}\.\d{1,3}\.\d{1,3}\.\d{1,3}(?![\w.+-])")
_MAC = re.compile(r"(?<![\w:])(?:[0-9a-fA-F]{2}:){5}[0-9a-fA-F]{2}(?![\w:])")
_FOREIGN_HOME = re.compile(r"/(?:home|Users|var/home|export/home|usr/home)/[^/\s'\":<>]+")
_PART = r"[^\s'\":;,<>|()\[\]{}=\\&$`*?]"
_PATH = re.compile(rf"(?P<path>(?:(?<![\w.<>+~@%/:-])/|(?<=:)/(?!/)){_PART}+)|<home>(?P<below>/{_PART}*)?")
_OF_OPTION = re.compile(r"(?<![\w./-])(?P<option>-{1,2}[A-Za-z][\w-]*)(?P<path>/" + _PART + "+)")
_RELATIVE = re.compile(rf"(?<![\w/.<>-])(?:\.\./)+{_PART}*")
_SYSTEM = re.compile(
    r"/(?:usr/)?(?:bin|sbin|lib|lib32|lib64|libexec|include|share)(?:/|$)|/usr/local/(?:bin|sbin|lib|include|share)/?$"
    r"|/usr/src/(?:linux|kernels)|/usr/?$|/usr/src/?$|/boot(?:/|$)|/proc(?:/|$)|/sys(?:/|$)|/dev/(?:kvm|null|zero|tty|std|fd|shm|mem)"
    r"|/etc/(?:os-release|debian_version|modules|modprobe\.d|depmod\.d|dkms|kernel|apt|ld\.so)|/nix/store|/gnu/store"
    r"|/var/lib/dkms/?$|/tmp/?$|/$"
)
_ENDING = re.compile(r"\.[A-Za-z0-9]{1,5}$")


class Redactor:
    """Takes private and secret words out of texts, and counts what it took. The same path gets the same number in all
    of them."""

    def __init__(self, private: Private) -> None:
        self._private = private
        self._paths: dict[str, int] = {}
        self.counts: Counter[str] = Counter()

    def redact(self, text: str) -> str:
        """`text` without what is private or secret."""
        text = self._replace(_PRIVATE_KEY, "private key", text)
        for secret in self._private.secrets:
            # (a short one, such as a PIN, is in other numbers by chance)
            text = self._literal(secret, text) if len(secret) > 7 else self._word(secret, "secret", text)
        text = self._replace(_PKCS11, "pkcs11 uri", text)
        text = self._sub(_URL, self._url, text)
        text = self._replace(_TOKENS, "secret", text)
        text = self._sub(_BEARER, lambda match: f"{match['name']} {self._placeholder('secret')}", text)
        text = self._sub(_OPTION_VALUE, self._assigned, self._sub(_ASSIGNED, self._assigned, text))
        text = self._sub(
            _KEY_OPTION, lambda match: f"{match['name']}{match['between']}{self._placeholder('key')}", text
        )
        text = self._replace(_KEY_FILE, "key", text)
        for folder, word in self._private.folders:
            text = re.sub(
                rf"(?<![\w./~-]){re.escape(folder)}(?=[/\s'\":;,<>|()\[\]{{}}=\\&]|\.\s|$)", f"<{word}>", text
            )
        for home in self._private.homes:
            text = re.sub(rf"{re.escape(home)}(?![\w.-])", "<home>", text)
        text = re.sub(r"(?<![\w/])~\w*(?=/)", "<home>", _FOREIGN_HOME.sub("<home>", text))
        text = self._sub(_OF_OPTION, self._path_of_option, text)
        text = self._sub(_PATH, self._path, text)
        text = self._sub(_RELATIVE, lambda match: self._numbered(match[0]), text)
        text = self._replace(_ADDRESS, "address", text)
        for user in self._private.users:
            text = self._word(user, "user", text)
        for host in self._private.hosts:
            text = self._word(host, "host", text)
        text = self._replace(_MAC, "hardware address", text)
        return self._replace(_IPV4, "address", text)

    def in_bytes(self, contents: bytes) -> int:
        """How often private words stand in `contents`, which may be no text."""
        words = (word for word in self._private.literals() if len(word) > 3)
        return sum(contents.count(word.encode(errors="surrogateescape")) for word in words) + len(
            re.findall(rb"/home/\w", contents)
        )

    def _placeholder(self, word: str) -> str:
        self.counts[word] += 1
        return f"<{word}>"

    def _replace(self, pattern: re.Pattern[str], word: str, text: str) -> str:
        return self._sub(pattern, lambda _: self._placeholder(word), text)

    def _sub(self, pattern: re.Pattern[str], become: Callable[[re.Match[str]], str], text: str) -> str:
        return pattern.sub(become, text)

    def _literal(self, secret: str, text: str) -> str:
        self.counts["secret"] += text.count(secret)
        return text.replace(secret, "<secret>")

    def _word(self, name: str, word: str, text: str) -> str:
        pattern = re.compile(rf"(?<![^\W_]){re.escape(name)}(?![^\W_])", re.IGNORECASE)
        return self._replace(pattern, word, text)

    def _url(self, match: re.Match[str]) -> str:
        rest = match["rest"]
        if match["scheme"].lower() == "file":
            return f"file://{self._placeholder('path')}"
        if _PUBLIC.match(rest) and "?" not in rest and "@" not in rest:
            return match[0]
        return f"{match['scheme']}://{self._placeholder('url')}"

    def _assigned(self, match: re.Match[str]) -> str:
        value = match["value"]
        if value in _SAFE:
            return match[0]
        quote = value[0] if value[0] in "\"'" else ""
        return f"{match['name']}{match['between']}{quote}{self._placeholder('secret')}{quote}"

    def _path(self, match: re.Match[str]) -> str:
        path = match["path"] or match["below"] or ""
        is_below_home = match["path"] is None
        if not is_below_home and _SYSTEM.match(path):
            return match[0]
        if is_below_home and path in ("", "/"):
            self.counts["home"] += 1
            return "<home>"
        return f"<home>/{self._numbered(f'~{path}')}" if is_below_home else self._numbered(path)

    def _path_of_option(self, match: re.Match[str]) -> str:
        path = match["path"]
        return match[0] if _SYSTEM.match(path) else f"{match['option']}{self._numbered(path)}"

    def _numbered(self, path: str) -> str:
        """The word for a path that is not told."""
        self.counts["path"] += 1
        number = self._paths.setdefault(path, len(self._paths) + 1)
        ending = _ENDING.search(path)
        return f"<path-{number}>{ending[0] if ending else ''}"


_SAFE = frozenset({"true", "false", "null", "None", "y", "n", "m"})
