"""One table says which authors are programs: whole names of people's kind, and parts of accounts."""

from __future__ import annotations

import pytest

from pretrial.corpus.bots import KEYWORDS, NAMES, SUFFIXES, is_bot, is_bot_account


@pytest.mark.parametrize("name", [*sorted(NAMES), "Renovate Bot", " GitHub-Actions ", "some-app[bot]", "App[BOT]"])
def test_a_programs_name_is_known_in_commits_and_in_threads(name: str) -> None:
    assert is_bot(name)
    assert is_bot_account(name)


@pytest.mark.parametrize("name", ["", "Ann", "abbott", "Travi", "bots", "Bot Fan", "jenkin", "k8s", "ci", "testing-a"])
def test_a_persons_name_is_none(name: str) -> None:
    assert not is_bot(name)
    assert not is_bot_account(name)


@pytest.mark.parametrize("name", [*(f"a{end}" for end in SUFFIXES), *(f"a{word}b" for word in KEYWORDS)])
def test_parts_of_names_tell_of_accounts_only(name: str) -> None:
    assert is_bot_account(name)
    assert not is_bot(name)
