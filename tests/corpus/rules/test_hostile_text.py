"""No rule is slow on a text that is made to make it slow."""

from __future__ import annotations

import time

import pytest

from pretrial.corpus.registry import RULES

SIZE = 60_000
MOST_SECONDS = 1.1
"""Processor time that reading once takes many times over, and reading again from every place exceeds."""
PIECES = (
    "a", "@", "1.", ":", "a@", "a.a@", "[1", "\n", "\r", "\n ", " ", "½", "汉", "!)", ". ", "` ", "```\n", "  x\n",
    "::\n\n", "sk-", " sk-aaaaaaaaaaaaaaa", "bearer ", "SG.", "eyJaaaaaaaaaa.", "secret='aaaaaaaaaaaaaaaaaaaa ",
    "::1", "AKIA", "hooks.slack.com/services/aaaaaaaa/", "-----BEGIN RSA PRIVATE KEY-----",
    "-----BEGIN PRIVATE KEY-----\na:\n", "<script>", "<script", "<head>", "<!--", "<", "<pre>", "0x12 ", "ab,",
    "\\u00e9", "1.5e", "deadbeef", "/*", "'", '"""a', "`\\", "'\\u{",
)  # fmt: skip
LANGUAGES = {
    "html": ("stack-v2-html", "starcoder-html"),
    "python": ("starcoder-comments",),
    "java": ("starcoder-comments",),
}


@pytest.mark.parametrize("name", sorted(RULES))
def test_hostile_text_takes_time_in_proportion(name: str) -> None:
    rule = RULES[name]()
    rule("a", {"language": "", "path": "a"})  # what is loaded at first use takes its time once
    spoken = [language for language, rules in LANGUAGES.items() if name in rules]
    for piece in PIECES:
        # What never closes, and what begins to close and does not.
        for end in ("", "</script <", "\n-----END"):
            for language in spoken or [""]:
                text = piece * (SIZE // len(piece)) + end
                begun = time.process_time()
                rule(text, {"language": language, "path": "a"})
                took = time.process_time() - begun
                assert took < MOST_SECONDS, f"{piece!r} … {end!r} in {language or 'no language'}: {took:.1f} s"
