"""A study as a report sees it: four variants, three seeds; code costs prose 0.04 bits per byte."""

from __future__ import annotations

import dataclasses
import math
import random
from pathlib import Path
from typing import Any

import pytest

from pretrial.report.data import ReportData
from pretrial.report.write import write_report

HOSTILE = "</script><script>window.pwned=1</script><img src=x onerror=window.pwned=1>\u2028"
SEEDS = [1, 2, 3]
STAGE = 150_016
STEP = 512
BASELINE = "text→text"
MIXTURES: dict[str, dict[str, float]] = {
    "text": {"prose": 1.0},
    "balanced": {"prose": 0.5, "python": 0.5},
    "code": {"python": 1.0},
}
VARIANTS = {
    "text→text": ("text", "text"),
    "balanced→balanced": ("balanced", "balanced"),
    "balanced→text": ("balanced", "text"),
    "code→text": ("code", "text"),
}
BASE = {"prose": 2.49, "python": 2.94, "descriptions": 3.02, "topics": 2.71}
EFFECT = {
    "balanced→balanced": {"prose": 0.081, "python": -0.71, "descriptions": 0.048, "topics": 0.071},
    "balanced→text": {"prose": 0.037, "python": -0.29, "descriptions": 0.003, "topics": 0.021},
    "code→text": {"prose": 0.122, "python": -0.41, "descriptions": 0.094, "topics": 0.113},
}
CATEGORY = {"prose": "held-out", "python": "held-out", "descriptions": "transfer", "topics": "transfer"}


def share_text(shares: dict[str, float]) -> str:
    return ", ".join(f"{share:.0%} {source}" for source, share in shares.items())


def comparison(
    variant: str, category: str, task: str, effect: float, se: float, base: float, **other: Any
) -> dict[str, Any]:
    low, high = effect - 3.18 * se, effect + 3.18 * se
    delta = 0.01 * base
    verdict = "worse" if low > 0 else "better" if high < 0 else "undecided"
    if -delta < low and high < delta:
        verdict = "equivalent"
    row = {
        "variant": variant,
        "baseline": BASELINE,
        "stage": "2",
        "tokens": 2 * STAGE,
        "category": category,
        "task": task,
        "metric": "bits per byte",
        "higher_is_better": False,
        "base_value": base,
        "value": base + effect,
        "absolute": effect,
        "low": low,
        "high": high,
        "se": se,
        "df": 3.1,
        "level": 0.95,
        "relative": effect / base,
        "relative_low": low / base,
        "relative_high": high / base,
        "p": min(1.0, 2 * math.exp(-abs(effect / se))),
        "p_adjusted": min(1.0, 4 * math.exp(-abs(effect / se))),
        "mde": 3.6 * se,
        "delta": delta,
        "n_items": 118,
        "n_seeds": 3,
        "method": "two-way, Satterthwaite t",
        "holds": "compute",
        "flags": ["exploratory"],
        "verdict": verdict,
        "claim": None,
        "claim_verdict": None,
    }
    return row | other


def example(*, source: str = "python") -> ReportData:
    """The fixture; `source` renames the source "python" wherever it is named."""
    chance = random.Random(3)
    results: list[dict[str, Any]] = []
    comparisons: list[dict[str, Any]] = []
    ledger: list[dict[str, Any]] = []
    training: list[dict[str, Any]] = []
    evaluation: list[dict[str, Any]] = []
    plan: list[dict[str, Any]] = []

    def named(name: str) -> str:
        return source if name == "python" else name

    for variant, stages in VARIANTS.items():
        for number, mixture in enumerate(stages, 1):
            shares = {named(name): share for name, share in MIXTURES[mixture].items()}
            shared = {
                ("balanced→balanced", 1): "with balanced→text",
                ("balanced→text", 1): "with balanced→balanced",
            }.get((variant, number), "")
            plan.append(
                {
                    "variant": variant,
                    "stage": str(number),
                    "start": (number - 1) * STAGE,
                    "tokens": STAGE,
                    "steps": STAGE // STEP,
                    "mixture": mixture,
                    "shares": shares,
                    "warmup": 10_240 if number == 1 else 0,
                    "lr_in": 0.0001 if number == 1 else 0.00228,
                    "lr_out": 0.00228 if number == 1 else 0.0004,
                    "shared": shared,
                    "replayed": 0,
                }
            )
            for seed in SEEDS:
                for name, share in shares.items():
                    tokens = round(STAGE * share / 256) * 256
                    ledger.append(
                        {
                            "variant": variant,
                            "seed": seed,
                            "stage": str(number),
                            "source": name,
                            "requested_share": share,
                            "requested_tokens": round(STAGE * share),
                            "realised_tokens": tokens,
                            "bytes": round(tokens * 3.4),
                            "documents": tokens // 310,
                            "unique_tokens": tokens,
                            "epochs": tokens / 1_400_000,
                            "fresh_tokens": tokens,
                            "replayed_tokens": 0,
                            "mean_attended_context": 91.25 + seed / 7,
                        }
                    )
        for seed in SEEDS:
            for step in range(1, 2 * STAGE // STEP + 1):
                tokens = step * STEP
                mixture = MIXTURES[stages[0 if tokens <= STAGE else 1]]
                by_source = {
                    named(name): 2.1 * (1 + (name == "python") * 0.12)
                    + 6.2 * math.exp(-step / 28)
                    + 1.1 * math.exp(-step / 240)
                    + chance.gauss(0, 0.06)
                    for name in mixture
                }
                peak = min(1.0, tokens / 10_240)
                training.append(
                    {
                        "variant": variant,
                        "seed": seed,
                        "tokens": tokens,
                        "loss": sum(by_source[named(name)] * share for name, share in mixture.items()),
                        "lr": 0.004 * peak * (1 - 0.9 * max(0, tokens - 10_240) / (2 * STAGE - 10_240)),
                        "by_source": by_source,
                    }
                )
            for number in (0.5, 1, 1.5, 2):
                values: dict[str, list[float]] = {}
                for task, base in BASE.items():
                    effect = EFFECT.get(variant, {}).get(task, 0.0)
                    value = base + effect + (2 - number) * 0.55 + chance.gauss(0, 0.012)
                    values.setdefault(CATEGORY[task], []).append(value)
                    point = {
                        "variant": variant,
                        "seed": seed,
                        "stage": "1" if number <= 1 else "2",
                        "tokens": int(number * STAGE),
                        "category": CATEGORY[task],
                        "task": named(task),
                        "metric": "bits per byte",
                        "value": value,
                    }
                    evaluation.append(point)
                    results.append(
                        {
                            **point,
                            "task_version": 1,
                            "metric_version": 1,
                            "stderr": 0.031,
                            "n": 118,
                            "chance": None,
                            "checkpoint": f"{hash_of(variant, seed)}@{int(number * STAGE)}",
                        }
                    )
        if variant == BASELINE:
            continue
        for category in ("held-out", "transfer"):
            tasks = [task for task in BASE if CATEGORY[task] == category]
            mean = sum(EFFECT[variant][task] for task in tasks) / len(tasks)
            base = sum(BASE[task] for task in tasks) / len(tasks)
            comparisons.append(comparison(variant, category, "mean", mean, 0.007, base))
            for task in tasks:
                comparisons.append(
                    comparison(variant, category, named(task), EFFECT[variant][task], 0.0098, BASE[task])
                )

    claims: list[dict[str, Any]] = [
        {
            "text": "balanced→text beats text→text on held-out python by 5%",
            "kind": "beats",
            "variant": "balanced→text",
            "against": BASELINE,
            "target": "held-out python",
            "metric": "bits per byte",
            "higher_is_better": False,
            "margin": 0.147,
            "verdict": "supported",
            "estimate": -0.29,
            "low": -0.321,
            "high": -0.259,
            "level": 0.95,
            "p": 0.0004,
            "p_adjusted": 0.0012,
            "reason": "The adjusted upper bound, −0.257 bits per byte, passes the margin of −0.147.",
            "registered": True,
            "n_seeds": 3,
            "n_items": 118,
        },
        {
            "text": "balanced→text equals text→text on transfer within 1%",
            "kind": "equals",
            "variant": "balanced→text",
            "against": BASELINE,
            "target": "transfer",
            "metric": "bits per byte",
            "higher_is_better": False,
            "margin": 0.0287,
            "verdict": "undecided",
            "estimate": 0.012,
            "low": -0.0103,
            "high": 0.0343,
            "level": 0.95,
            "p": 0.048,
            "p_adjusted": 0.096,
            "reason": "The interval reaches beyond +0.029 bits per byte; about 5 seeds would decide.",
            "registered": True,
            "n_seeds": 3,
            "n_items": 118,
        },
        {
            "text": "code→text does not lose to text→text on transfer by more than 1%",
            "kind": "not-worse",
            "variant": "code→text",
            "against": BASELINE,
            "target": "transfer",
            "metric": "bits per byte",
            "higher_is_better": False,
            "margin": 0.0287,
            "verdict": "refuted",
            "estimate": 0.1035,
            "low": 0.0812,
            "high": 0.1258,
            "level": 0.95,
            "p": 0.99,
            "p_adjusted": 0.99,
            "reason": "Even the lower bound, +0.081 bits per byte, lies beyond the margin.",
            "registered": False,
            "n_seeds": 3,
            "n_items": 118,
        },
    ]
    for claim in claims:
        claim |= {"bootstrap_low": claim["low"] - 0.001, "bootstrap_high": claim["high"] + 0.002, "sign_flip_p": None}
        claim["registration"] = "" if claim["registered"] else "seeds were added after a look at the results"
        claim["text"] = claim["text"].replace("python", source)
        target = claim["target"].replace("python", source)
        claim["target"] = target
        for row in comparisons:
            where = row["category"] if row["task"] == "mean" else f"{row['category']} {row['task']}"
            if row["variant"] == claim["variant"] and where == target:
                row["claim"], row["claim_verdict"] = claim["text"], claim["verdict"]
                row["flags"] = [] if claim["registered"] else ["exploratory"]

    document: dict[str, Any] = {
        "study": "quickstart",
        "question": "What does code in the training mixture cost in prose, and what does it gain in code?",
        "version": "0.1.0",
        "model": {
            "name": "1m",
            "parameters": 1_311_872,
            "parameters_without_embeddings": 787_584,
            "vocabulary": 4096,
            "context": 256,
        },
        "baseline": BASELINE,
        "variants": [
            {"name": name, "summary": f"{share_text(MIXTURES[a])}, then {share_text(MIXTURES[b])}"}
            for name, (a, b) in VARIANTS.items()
        ],
        "seeds": SEEDS,
        "compare": "compute",
        "categories": [
            {"name": "transfer", "note": "domains that no variant trained on"},
            {"name": "held-out", "note": "dose check: unseen documents of sources that variants trained on"},
        ],
        "definitions": [
            {
                "metric": "bits per byte",
                "version": 1,
                "unit": "bits per byte",
                "higher_is_better": False,
                "sentence": "−Σ log₂ p of all tokens, the mark at the end of each document included, over raw "
                "UTF-8 bytes; windows of the context length at half stride, each token scored once.",
            }
        ],
        "claims": claims,
        "shows": [
            "At 1.3M parameters and 300K tokens, half code in the first stage costs 0.037 bits per byte of "
            "prose [+0.006, +0.068] and gains 0.290 of Python [−0.321, −0.259].",
            "Training on code alone first costs transfer domains 0.104 bits per byte.",
        ],
        "does_not_show": [
            "Whether code helps reasoning: no task here measures it.",
            "Anything about models of another size, or about more tokens.",
        ],
        "warnings": [f"{source}: 3 records could not be decoded and were set aside (quarantine.jsonl)."],
        "results": results,
        "comparisons": comparisons,
        "ledger": ledger,
        "training": training,
        "evaluation": evaluation,
        "anchors": [
            {
                "variant": variant,
                "category": CATEGORY[task],
                "task": named(task),
                "metric": "bits per byte",
                "anchor": anchor,
                "value": base + extra,
            }
            for task, base in BASE.items()
            for variant, anchor, extra in (
                *((variant, "3-gram", 0.41 + number / 100) for number, variant in enumerate(VARIANTS)),
                ("", "zstd", 0.23),
            )
        ],
        "funnel": [
            {
                "source": named(name),
                "made_from": "",
                "step": step,
                "part": part,
                "documents": documents,
                "bytes": size,
                "tokens": size // 4 if step in ("trains", "held out") else None,
            }
            for name, steps in {
                "prose": [
                    ("read", False, 41_210, 11_800_000),
                    ("no-code", False, 38_904, 9_210_000),
                    ("trains", True, 36_020, 8_400_000),
                    ("held out", True, 1_000, 370_000),
                    ("exact copies, left out", True, 1_884, 440_000),
                ],
                "python": [
                    ("read", False, 3_310, 23_100_000),
                    ("stack-v2", False, 3_310, 23_100_000),
                    ("trains", True, 2_990, 21_300_000),
                    ("held out", True, 120, 700_000),
                    ("near-duplicates of documents that train", True, 150, 800_000),
                    ("near-duplicates of held-out documents", True, 30, 200_000),
                    ("held a benchmark item", True, 20, 100_000),
                ],
            }.items()
            for step, part, documents, size in steps
        ],
        "rejects": [
            {"source": "prose", "rule": "no-code", "reason": reason, "documents": documents}
            for reason, documents in {
                "symbols": 1_400,
                "short": 600,
                "braces": 200,
                "keywords": 50,
                "indented": 30,
                "doctest": 20,
                f"language={source}": 6,
            }.items()
        ],
        "removed": [{"source": "prose", "rule": "no-code", "kind": "doctest", "bytes": 1_200_000}],
        "near_duplicates": [
            {
                "source": name,
                "documents": documents,
                "near": 200,
                "within": 180,
                "across": 40,
                "pairs_within": 310,
                "pairs_across": 55,
                "others": {other: 55},
            }
            for name, other, documents in (("prose", source, 38_904), (source, "prose", 3_310))
        ],
        "licences": [
            {
                "source": source,
                "license": license,
                "documents": documents,
                "bytes": 7_000 * documents,
                "share_documents": documents / 2_990,
                "share_bytes": documents / 2_990,
            }
            for license, documents in {
                "MIT": 1_500,
                "Apache-2.0": 900,
                "": 500,
                "BSD-3-Clause": 60,
                source: 20,
                "ISC": 7,
                "Zlib": 3,
            }.items()
        ],
        "contamination": [
            {
                "source": source,
                "benchmark": benchmark,
                "documents": 3_310,
                "contaminated": 24,
                "rate": 24 / 3_310,
                "items": items,
                "of": items and 1_838,
                "unfindable": items and 108,
                "evaluated_found": items and 4,
                "evaluated_unfindable": items and 16,
                "evaluated": items and 200,
            }
            for benchmark, items in (("any", None), ("piqa", 31))
        ],
        "arms": [
            {
                "variant": variant,
                "benchmark": "piqa",
                "evaluated": 200,
                "before_documents": 20 * (variant != BASELINE),
                "before_items": 27 * (variant != BASELINE),
                "before_evaluated": 3 * (variant != BASELINE),
                "documents": 0,
                "items": 0,
                "evaluated_found": 0,
            }
            for variant in VARIANTS
        ],
        "matches": [
            {
                "source": source,
                "benchmark": "piqa",
                "item": "00c0ffee00c0ffee",
                "part": "question",
                "document": f"README {source}",
                "became": "held a benchmark item",
                "overlap": 0.875,
                "excerpt": f"keep a loaf of rye bread fresh {source}",
            }
        ],
        "clean": [
            {
                "variant": variant,
                "task": "piqa",
                "metric": metric,
                "value": 0.52,
                "clean_value": 0.51,
                "n": 200,
                "n_clean": 196,
                "n_unfindable": 16,
                "difference": -0.01,
                "against": None if variant == BASELINE else 0.021,
                "low": None if variant == BASELINE else 0.004,
                "high": None if variant == BASELINE else 0.038,
            }
            for variant in VARIANTS
            for metric in ("acc", "acc_norm")
        ],
        "plan": plan,
        "differs": [
            {
                "what": f"mixture of stage {i + 1}",
                "values": {name: share_text(MIXTURES[stages[i]]) for name, stages in VARIANTS.items()},
            }
            for i in range(2)
        ]
        + [
            {
                "what": "prose tokens in all",
                "values": dict(zip(VARIANTS, ("300K", "150K", "225K", "150K"), strict=True)),
            }
        ],
        "equal": [
            {"what": "tokens trained", "value": "300,032 in each variant"},
            {"what": "stage boundaries", "value": "150,016 and 300,032 tokens"},
            {"what": "learning rate", "value": "linear from 0.004 to 10%, warm-up 10,240"},
            {"what": "carried between stages", "value": "weights, optimiser state, data position"},
            {"what": "order of data", "value": "the k-th draw of a source is the same in all variants"},
            {"what": "seeds", "value": "1, 2, 3, shared by all variants"},
        ],
        "cost": {
            "items": [
                {"kind": "corpus", "steps": 4, "reused": 0, "seconds": 12.4},
                {"kind": "tokens", "steps": 5, "reused": 1, "seconds": 6.1},
                {"kind": "train", "steps": 21, "reused": 0, "seconds": 118.9},
                {"kind": "evaluate", "steps": 48, "reused": 0, "seconds": 35.7},
                {"kind": "analysis", "steps": 1, "reused": 0, "seconds": 1.2},
            ],
            "seconds": 183.2,
            "tokens_trained": 3_150_336,
            "tokens_without_sharing": 3_600_384,
            "flops": 2.31e13,
            "peak_memory": 1_310_000_000,
            "disk": 412_000_000,
        },
        "environment": [
            {"name": "device", "value": "cpu, AVX2"},
            {"name": "backend", "value": "compiled (inductor, g++ 12.2)"},
            {"name": "precision", "value": "float32"},
            {"name": "threads", "value": "2"},
            {"name": "python", "value": "3.11.9"},
            {"name": "torch", "value": "2.13.0"},
        ],
        "registration": [
            {"when": "", "event": "registered", "detail": "3 claims, δ = 1%", "exploratory": False},
            {"when": "", "event": "claims changed", "detail": claims[2]["text"], "exploratory": True},
        ],
    }
    return ReportData.from_json(document)


def hash_of(variant: str, seed: int) -> str:
    return f"{sum(map(ord, variant)) * 7919 + seed:08x}"


def example_items(data: ReportData) -> dict[str, list[Any]]:
    """Item rows as a dictionary of columns, in an order of no meaning."""
    rows = [
        {
            **{key: row[key] for key in ("variant", "seed", "stage", "tokens", "category", "task", "metric")},
            "item": f"document-{item:03d}",
            "cluster": f"package-{item % 5}",
            "value": row["value"] * (900.0 + item),
            "weight": 900.0 + item,
            "checkpoint": row["checkpoint"],
        }
        for row in data.results
        for item in range(6)
    ]
    random.Random(0).shuffle(rows)
    return {column: [row[column] for row in rows] for column in rows[0]}


@pytest.fixture(scope="session")
def data() -> ReportData:
    return example()


@pytest.fixture(scope="session")
def items(data: ReportData) -> dict[str, list[Any]]:
    return example_items(data)


@pytest.fixture(scope="session")
def report(data: ReportData, items: dict[str, list[Any]], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The example's folder, written once."""
    out = tmp_path_factory.mktemp("example") / "report"
    write_report(out, data, items)
    return out


@pytest.fixture(scope="session")
def hostile() -> ReportData:
    """Hostile text in every place that comes from outside."""
    data = example(source=HOSTILE)
    return dataclasses.replace(
        data,
        study=HOSTILE,
        question=HOSTILE,
        shows=[HOSTILE],
        does_not_show=[HOSTILE],
        banners=[HOSTILE],
        warnings=[HOSTILE],
        missing=[{"variant": "code→text", "seed": 3, "reason": HOSTILE}],
        funnel=[{**row, "made_from": HOSTILE, "step": row["step"] + HOSTILE} for row in data.funnel],
        rejects=[{**row, "rule": HOSTILE, "reason": HOSTILE + row["reason"]} for row in data.rejects[:4]],
        removed=[{**row, "rule": HOSTILE, "kind": HOSTILE} for row in data.removed],
        licences=[{**row, "license": HOSTILE} for row in data.licences[:1]],
        matches=[{**row, "document": HOSTILE, "item": HOSTILE, "excerpt": HOSTILE} for row in data.matches],
        environment=[{"name": HOSTILE, "value": HOSTILE}],
    )


@pytest.fixture(scope="session")
def hostile_report(hostile: ReportData, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """That study's folder, written once."""
    out = tmp_path_factory.mktemp("hostile") / "report"
    write_report(out, hostile)
    return out
