"""What was left of a source after every step, and where its documents ended.

Guarantees: documents and bytes are those that the steps counted. Tokens are counted where they were made; elsewhere
they are bytes times the tokens per byte of the source's own tokens, or a third of a byte where it has none yet, and
marked as estimated: a step may leave text of another density. Loads no library.
"""

from __future__ import annotations

from typing import Any

from pretrial.inspecting.corpora import ENDS, SELECTION, Corpora, class_name
from pretrial.tokens.spec import BYTES_PER_TOKEN

Json = dict[str, Any]


def funnel(corpora: Corpora, source: str) -> Json:
    """The funnel of a source.

    Returns:
        `source`; `parent` and `root` (sources); `role` ("trains", "transfer domain" or "on the way to others");
        `funnel`, a list of {step, documents, bytes, tokens}; `ends`, a list of {class, documents, bytes, tokens},
        `None` before the selection; `tokens_per_byte`; `rejected` (documents by step and reason); `removed` (bytes
        by rule and kind); `skipped` and `quarantined` (counts by reason); `groups`, `ungrouped`, `repeated_ids`.
        Tokens are loss-bearing, as {"value", "basis"}.

    Raises:
        RequestError: when the source was not read yet, or there is none of that name.
    """
    facts = corpora.corpus(source).facts
    made = {part: tokens for part in ("train", "held-out") if (tokens := corpora.tokens(source, part)) is not None}
    density: Json = {"value": 1 / BYTES_PER_TOKEN, "basis": "estimated"}
    for tokens in made.values():
        if tokens.facts["bytes"]:
            density = {"value": max(0, tokens.facts["tokens"] - 1) / tokens.facts["bytes"], "basis": "measured"}
            break

    def count(documents: int, size: int) -> Json:
        tokens = {"value": round(size * density["value"]), "basis": "estimated"}
        return {"documents": documents, "bytes": size, "tokens": tokens}

    selected = corpora.find(SELECTION)
    ends = None
    if selected is not None:
        ends = []
        for key, counts in selected.facts["sources"][source].items():
            if not isinstance(counts, dict):
                continue
            row: Json = {"class": class_name(key)} | count(counts["documents"], counts["bytes"])
            if (known := made.get(row["class"])) is not None:
                row["tokens"] = {"value": max(0, known.facts["tokens"] - 1), "basis": "measured"}
            ends.append(row)
        order = list(ENDS)
        ends.sort(key=lambda row: order.index(row["class"]) if row["class"] in order else len(order))
    return {
        "source": source,
        "parent": corpora.source(source).parent,
        "root": corpora.root(source),
        "role": role(corpora, source),
        "funnel": [{"step": row["step"]} | count(row["documents"], row["bytes"]) for row in facts["funnel"]],
        "ends": ends,
        "tokens_per_byte": density,
        **{key: facts[key] for key in ("rejected", "removed", "skipped", "quarantined")},
        **{key: facts[key] for key in ("groups", "ungrouped", "repeated_ids")},
    }


def role(corpora: Corpora, source: str) -> str:
    """What a source is for in its study."""
    if source in corpora.study.trained_sources:
        return "trains"
    return "transfer domain" if source in corpora.study.transfer_sources else "on the way to others"
