"""Redaction of what should not be learned: e-mail addresses, addresses of machines, keys.

Guarantees: linear in the text; what is taken out is counted in bytes by kind and leaves a mark in its place, as
StarCoder did (arXiv 2305.06161, section 3.4). Redaction by pattern misses things: it lowers what a model can repeat,
and proves nothing.
Does not: find names of people, telephone numbers or passwords.
"""

from __future__ import annotations

import ipaddress
import math
import re
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from pretrial.corpus.rules.result import Result, Rule
from pretrial.errors import RequestError

_EMAIL = re.compile(r"(?<![\w.+%-])[\w.+%-]{1,64}+@(?:[A-Za-z0-9-]{1,63}\.){1,8}[A-Za-z]{2,24}(?![\w-])")
_IPV4 = re.compile(r"(?<![\w.])(?:\d{1,3}\.){3}\d{1,3}(?![\w]|\.\d)")
_IPV6 = re.compile(r"(?<![\w:.])(?:[0-9a-fA-F]{0,4}:){2,7}[0-9a-fA-F]{0,4}(?![\w:])")
_KEYS = re.compile(
    r"""
      -----BEGIN\ (?:[A-Z0-9]+\ ){0,3}PRIVATE\ KEY(?:\ BLOCK)?-----
      (?:\s{0,8}[A-Za-z-]{1,32}:[^\n]{0,200}\n){0,8}+
      (?:[A-Za-z0-9+/=\s\\"',:]|-(?!----)){16,}+
      -----END\ (?:[A-Z0-9]+\ ){0,3}PRIVATE\ KEY(?:\ BLOCK)?-----
    | (?<![A-Za-z0-9])(?:AKIA|ASIA)[A-Z0-9]{16}(?![A-Za-z0-9])
    | (?<![A-Za-z0-9])gh[pousr]_[A-Za-z0-9]{36,255}
    | (?<![A-Za-z0-9])github_pat_[A-Za-z0-9_]{22,255}
    | (?<![A-Za-z0-9])glpat-[A-Za-z0-9_-]{20,64}
    | (?<![A-Za-z0-9])xox[abprs]-[A-Za-z0-9-]{10,250}
    | (?<![A-Za-z0-9])sk_live_[A-Za-z0-9]{16,128}
    | (?<![A-Za-z0-9])AIza[A-Za-z0-9_-]{35}(?![A-Za-z0-9_-])
    | (?<![A-Za-z0-9])hf_[A-Za-z]{34}(?![A-Za-z])
    | (?<![A-Za-z0-9])npm_[A-Za-z0-9]{36}(?![A-Za-z0-9])
    | (?<![A-Za-z0-9])SG\.[A-Za-z0-9_-]{16,32}\.[A-Za-z0-9_-]{32,64}
    | hooks\.slack\.com/(?:services|workflows)/[A-Za-z0-9]{8,16}/[A-Za-z0-9]{8,16}/[A-Za-z0-9/]{16,64}
    | (?<![A-Za-z0-9])eyJ[A-Za-z0-9_-]{10,2048}\.eyJ[A-Za-z0-9_-]{10,4096}\.[A-Za-z0-9_-]{10,1024}
    """,
    re.VERBOSE,
)
_KEY_SIGNS = (
    " KEY-----", " KEY BLOCK-----", "AKIA", "ASIA", "ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat_", "glpat-",
    "xoxa-", "xoxb-", "xoxp-", "xoxr-", "xoxs-", "sk_live_", "AIza", "hf_", "npm_", "SG.", "hooks.slack.com/", "eyJ",
)  # fmt: skip
"""One of them stands in whatever `_KEYS` matches: most texts have none, and this is far sooner seen."""
# Both begin with what is looked for first; what may not stand before it is asked after, since `task-` and `desk-` are
# frequent. Names in kebab case have no sixteen letters and digits in a row, place-holders have no digit.
_SK = re.compile(
    r"sk-(?<![A-Za-z0-9_-]sk-)(?=[A-Za-z_-]{0,255}[0-9])(?=[A-Za-z0-9_-]{0,64}[A-Za-z0-9]{16})[A-Za-z0-9_-]{20,255}"
)
_BEARER = re.compile(
    r"earer[ \t](?<=[Bb]earer.)(?<![A-Za-z0-9_][Bb]earer.)[ \t]{0,7}"
    r"(?P<value>(?=[A-Za-z._~+/-]{0,255}[0-9])[A-Za-z0-9._~+/-]{20,2048}={0,2})"
)
_ASSIGNED = re.compile(
    r"(?i)(?:api[_-]?key|secret|token|passwd|password|access[_-]?key)[\"']?\s{0,8}[:=]>?\s{0,8}[\"']"
    r"(?P<value>[A-Za-z0-9+/=_.-]{20,512})[\"']"
)
_ASSIGNED_SIGNS = ("key", "secret", "token", "passw")
"""One of them stands, cases folded, in whatever `_ASSIGNED` matches."""
_LEAST_ENTROPY = 3.5
_EXAMPLES = ("example.com", "example.org", "example.net", "localhost", ".invalid", ".test", ".example")


@dataclass(frozen=True)
class Redact:
    """Puts a mark in the place of each e-mail address, public internet address and key, as far as `kinds` names them.

    E-mail addresses of example domains stay, as do private, loopback and documentation addresses of machines (they
    name nobody) and version numbers of four parts behind a `v` or a dot. A key is what has the form of a known
    service's key, or a value in quotes that is assigned to a name such as `secret` or `api_key`, with at least 3.5 bits
    a character; so is what follows `Bearer`, with a digit among 20 characters and more.
    """

    name: ClassVar[str] = "redact"
    version: ClassVar[int] = 2
    edits: ClassVar[bool] = True

    kinds: tuple[str, ...] = ("email", "ip", "key")
    email: str = "<EMAIL>"
    ip: str = "<IP_ADDRESS>"
    key: str = "<KEY>"

    def __post_init__(self) -> None:
        if wrong := [kind for kind in self.kinds if kind not in ("email", "ip", "key")]:
            raise RequestError(
                f"redact knows no kind {wrong[0]!r}", remedy="It knows email, ip and key; leave kinds out for all."
            )

    def __call__(self, text: str, fields: Mapping[str, Any]) -> Result:
        removed: Counter[str] = Counter()

        def swap(kind: str, mark: str, keeps: Callable[[str], bool]) -> Callable[[re.Match[str]], str]:
            def one(match: re.Match[str]) -> str:
                found = match.group()
                if keeps(found):
                    return found
                removed[kind] += len(found.encode("utf-8", "surrogatepass"))
                return mark

            return one

        result = text
        if "key" in self.kinds:
            if any(sign in result for sign in _KEY_SIGNS):
                result = _KEYS.sub(swap("key", self.key, lambda _: False), result)
            if "sk-" in result:
                result = _SK.sub(swap("key", self.key, lambda _: False), result)

            def value(match: re.Match[str]) -> str:
                secret = match["value"]
                if entropy(secret) < _LEAST_ENTROPY:
                    return match.group()
                removed["key"] += len(secret)
                begin = match.start("value") - match.start()
                return match.group()[:begin] + self.key + match.group()[begin + len(secret) :]

            if "earer" in result:
                result = _BEARER.sub(value, result)
            # `casefold`, since (?i) also takes a long s for an s, and the sign for kelvin for a k.
            folded = result.casefold()
            if any(sign in folded for sign in _ASSIGNED_SIGNS):
                result = _ASSIGNED.sub(value, result)
        if "email" in self.kinds and "@" in result:
            result = _EMAIL.sub(swap("email", self.email, lambda found: found.lower().endswith(_EXAMPLES)), result)
        if "ip" in self.kinds:
            result = _IPV4.sub(swap("ip", self.ip, _names_nobody), result)
            if "::" in result or result.count(":") > 6:
                result = _IPV6.sub(swap("ip", self.ip, _names_nobody), result)
        return Result(result, {kind: removed[kind] for kind in sorted(removed)})


def entropy(text: str) -> float:
    """Bits a character of a text under its own frequencies."""
    counts = Counter(text)
    return -sum(n / len(text) * math.log2(n / len(text)) for n in counts.values()) if text else 0.0


def _names_nobody(found: str) -> bool:
    try:
        return not ipaddress.ip_address(found).is_global
    except ValueError:
        return True


RULES: tuple[type[Rule], ...] = (Redact,)
