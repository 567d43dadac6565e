"""Which authors are programs, by their names: one table for commits and for threads.

Guarantees: a name decides alone, in any case. `is_bot` takes names that people could bear too (authors of commits) and
asks for a whole name; `is_bot_account` takes accounts of an issue tracker and asks for parts of names as well.
Facts: names seen in public histories, and the lists by which BigCode filtered issues (StarCoder, arXiv 2305.06161,
section 3.4; the repository bigcode-project/bigcode-dataset, `preprocessing/`).
"""

from __future__ import annotations

NAMES = frozenset(
    # One string: a list would take a line a name.
    """
    allcontributors apache-hbase autorest-ci autorestci azure-sdk bors circleci claassistant claassistantio cmsbuild
    codecov-commenter codecov-io copybara-github copybara-service coveralls crowdin-bot danger-public
    deepsource-autofix dependabot dependabot-preview dnfclas gcf-owl-bot github-actions github-classroom gitlocalize-app
    googleapis-publisher greenkeeper greenkeeperio-bot houndci-bot imgbot k8s-ci-robot k8s-merge-robot
    k8s-publishing-bot karma-pr-reporter mergify msftclas openshift-merge-robot pre-commit-ci probot probot-stale
    pydocteur pyup-bot release-please renovate renovate-bot restyled-io scala-steward semantic-release-bot snyk-bot
    sonatype-lift sparkqa stickler-ci tensorflower-gardener travis travis-ci web3-bot weblate whitesource-bolt
    yoshi-automation
    """.split()
)
"""Whole names, in lower case, with hyphens for blanks; of commits, the local part of addresses too."""
KEYWORDS = ("[bot]", "botmanager", "bors-", "jenkins", "k8s-", "-test-", "travis")
"""What stands anywhere in an account's name."""
SUFFIXES = (
    "-automaton", "-automation", "-benchmark", "-build", "-deployer", "-cloud", "bot", "-ci", "-linter", "-teamcity",
    "-test", "-testing", "-service-account",
)  # fmt: skip
"""How an account's name ends."""


def is_bot(name: str) -> bool:
    """Whether a person's or program's name is a program's: a name of the table, or one that ends in `[bot]`."""
    plain = name.strip().lower()
    return plain.endswith("[bot]") or plain.replace(" ", "-") in NAMES


def is_bot_account(name: str) -> bool:
    """Whether an account is a program's: as `is_bot`, or by a part of its name (as published, `abbot` is one)."""
    plain = name.strip().lower()
    return is_bot(plain) or plain.endswith(SUFFIXES) or any(word in plain for word in KEYWORDS)
