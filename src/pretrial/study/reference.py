"""The reference of the study file, written from the schema: `python -m pretrial.study.reference [FILE]`.

Guarantees: every key of the schema is in it, with type, unit, default, meaning and an example; nothing in it
is written by hand twice. A test holds `docs/study-file.md` to it.
"""

from __future__ import annotations

import dataclasses
import sys
from fractions import Fraction
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

from pydantic.fields import FieldInfo

from pretrial.corpus.attributes import ATTRIBUTES
from pretrial.corpus.readers.catalogue import DEFINITIONS, Definition
from pretrial.corpus.registry import FAMILIES, RULES, TRANSFORMS, Call, Rule
from pretrial.evaluate import spec as evaluate
from pretrial.model.spec import PRESETS
from pretrial.study import form as forms
from pretrial.study.form import Form, Kind, StudyForm, strip
from pretrial.study.mixtures import LONGEST_PERIOD
from pretrial.study.tasks import METRICS, TASKS, unit
from pretrial.study.units import format_share
from pretrial.study.variants import LEAST_STAGE_STEPS, LEAST_WARMUP_STEPS

_TITLES: dict[type[Form], str] = {
    StudyForm: "The study",
    forms.ModelForm: "model",
    forms.TokenizerForm: "tokenizer",
    forms.TrainTokenizerForm: "tokenizer.train",
    forms.NearForm: "near-duplicates",
    forms.SourceForm: "sources.NAME",
    forms.ReadForm: "sources.NAME.read",
    forms.TrainingForm: "training",
    forms.OptimizerForm: "training.optimizer",
    forms.AdamWForm: "training.optimizer.adamw",
    forms.ScheduleForm: "training.schedule",
    forms.RampForm: "training.schedule.linear, cosine",
    forms.ConstantForm: "training.schedule.constant",
    forms.StableForm: "training.schedule.warmup-stable-decay",
    forms.StageForm: "variants.NAME.STAGE",
    forms.EvaluateForm: "evaluate",
}

_HEAD = """# The study file

Written from the schema by `python -m pretrial.study.reference`; do not edit.

A study is one YAML 1.2 file. An unknown key, a key said twice, a value of the wrong type and a name that
nothing has are errors with file, line and key. `pretrial plan STUDY` prints the study with every default. In
Python, `pretrial.study.parse_study` takes the same keys as a mapping.

## How values are written

| value | written as | meaning |
|---|---|---|
| tokens | `8192`, `8192 tokens`, `200K tokens`, `2M` | loss-bearing targets; K, M, B are powers of 1,000 |
| bytes | `61440`, `60 KB`, `1.5 MB`, `256 KiB` | UTF-8 bytes; K, M: powers of 1,000; Ki, Mi: of 1,024 |
| share | `50%`, `33.3%`, `1/3` | exact: 33.3% is 333/1000; a bare number is refused |
| margin | `0.5%`, `2 points`, `0.01 bits` | of the baseline's value; hundredths of a share; bits per byte |
| name | any text but control characters | of sources, mixtures, variants and stages |

"""

_RULES = f"""## What is checked

- Shares of a mixture, and of a tokenizer, sum to 100% exactly, and their common denominator is at most
  {LONGEST_PERIOD:,}. A share that gives a stage no whole sequence is an error.
- `batch` is a whole number of sequences of `context` tokens. Budgets round down to whole steps;
  `from: NAME@TOKENS` is a step of the variant it names.
- A stage has at least {LEAST_STAGE_STEPS} steps and a warm-up at least {LEAST_WARMUP_STEPS},
  unless `smoke: true`.
- `carry` has no default once something is handed over, and always holds weights.
- With `clock: stage` every arm restarts at the same tokens. Pre-training never follows a cooldown.
- A source in no mixture is a transfer domain: the tokenizer must not see it, and `transfer` needs one. Sources made
  from one another are one family: one of them in a mixture, and none of them is unseen; of an unseen family only those
  are domains from which nothing is made, so that no document counts twice in the mean. The others are warned of.
- A source never stands beside one that it is made from in a mixture: their documents would have two shares. Two of
  one family that do not exclude each other are warned of. Passes over the same documents under several names add up,
  and `max-epochs` holds for their sum. A derived source that nothing uses is not made.
- A part SOURCE/VALUE can be named in mixtures, in `from` and in `tokenizer.train.from`. No source has the name of a
  part of another. Values of `language` have one spelling (`C++` is `cpp`); one that the source cannot have is an error.
- A dataset of the hub is pinned to a commit: `revision`, 40 hex digits.
- A claim names two variants, and a category or task that the study evaluates.
"""

_CLAIMS = """## Claims

    VARIANT beats VARIANT on TARGET [by MARGIN][, at equal compute|text|order]
    VARIANT equals VARIANT on TARGET within MARGIN[, at equal …]
    VARIANT does not lose to VARIANT on TARGET by more than MARGIN[, at equal …]

TARGET is a category (`transfer`: the mean of its tasks), a category and one of its tasks (`held-out prose`),
or a benchmark (`piqa`), and may be followed by `(METRIC)`; without one it is the task's first metric below.
*Better* follows the metric: fewer bits, more accuracy. `at equal` is the study's `compare` where it is left
out. Claims are registered before the first training token and alone form the Holm family.
"""


def reference() -> str:
    """The whole document, as Markdown."""
    parts = [_HEAD]
    for form, title in _TITLES.items():
        parts.append(_section(form, title))
    parts += [_RULES, "\n", _CLAIMS, "\n", _tasks(), "\n", _rules(), "\n", _presets()]
    return "".join(parts)


def _section(form: type[Form], title: str) -> str:
    doc = " ".join((form.__doc__ or "").split())
    rows = ["| key | type | default | meaning | example |", "|---|---|---|---|---|"]
    for name, field in form.model_fields.items():
        key = field.alias or name
        cells = (f"`{key}`", _type(field), _default(field), field.description or "", _example(field))
        rows.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return f"## {title}\n\n{doc}\n\n" + "\n".join(rows) + "\n\n"


def _type(field: FieldInfo) -> str:
    for extra in field.metadata:
        if isinstance(extra, Kind):
            return extra.name
    return _label(field.annotation)


def _label(annotation: Any) -> str:
    for extra in getattr(annotation, "__metadata__", ()):
        if isinstance(extra, Kind):
            return extra.name
    bare = strip(annotation)
    if bare is not annotation and any(
        not isinstance(part, type(None)) and hasattr(part, "__metadata__") for part in get_args(annotation)
    ):
        return _label(next(part for part in get_args(annotation) if hasattr(part, "__metadata__")))
    if isinstance(bare, type) and issubclass(bare, Form):
        return f"mapping `{_TITLES[bare]}`"
    origin, arguments = get_origin(bare), get_args(bare)
    if origin is Literal:
        return " or ".join(f"`{value}`" for value in arguments)
    if origin is dict:
        return f"mapping of {_label(arguments[0])} to {_label(arguments[1])}"
    if origin is list:
        return f"list of {_label(arguments[0])}"
    return {bool: "true or false", int: "whole number", float: "number", str: "text"}[bare]


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    value = field.get_default(call_default_factory=True, validated_data={})
    if value is None:
        return "none"
    if isinstance(value, Form):
        return "its defaults"
    if isinstance(value, bool):
        return "true" if value else "false"
    if any(isinstance(extra, Kind) and extra.name == "share" for extra in field.metadata):
        return format_share(value if isinstance(value, Fraction) else Fraction(repr(value)))
    if isinstance(value, list | dict | tuple):
        return str(value) if value else "none"
    return str(value)


def _example(field: FieldInfo) -> str:
    return " ".join(f"`{example}`" for example in field.examples or ())


def _tasks() -> str:
    where = {
        "trained": "each source in a mixture",
        "unseen": "each source in none",
        "any": "each source",
        None: "",
    }
    rows = ["## Tasks and metrics", "", "| task | category | one task for | metrics |", "|---|---|---|---|"]
    for name, kind in TASKS.items():
        metrics = ", ".join(kind.metrics)
        rows.append(f"| `{name}` | {kind.category} | {where[kind.domains] or 'itself'} | {metrics} |")
    rows += ["", "| metric | unit | better | definition |", "|---|---|---|---|"]
    for metric in METRICS:
        defined = evaluate.METRICS[metric]
        better = "higher" if defined.higher_is_better else "lower"
        definition = defined.definition.replace("|", "\\|")
        rows.append(f"| `{metric}` | {unit(metric)} | {better} | {definition} |")
    rows += [
        "",
        "`margins` takes these metrics; `bits-per-byte` and `bits per byte` mean `bits_per_byte`. The metric `margin` "
        "is a difference of log-probabilities: its own margins are in bits, never a percentage.",
        "",
    ]
    return "\n".join(rows)


def _rules() -> str:
    """Rules, families, transforms, measures, and the datasets that have names: all read off the code."""
    rows = [
        "## Rules",
        "",
        "Under `filter`: a rule's name, or `{NAME: {THRESHOLD: VALUE}}`. Every document that a rule drops is listed "
        "with the rule, its reason (what was measured, in a word) and the value.",
        "",
        "| rule | what it does | thresholds |",
        "|---|---|---|",
        *(_rule_row(name, rule) for name, rule in sorted(RULES.items())),
        "",
        "| family | its rules |",
        "|---|---|",
        *(f"| `{name}` | {', '.join(map(_member, members))} |" for name, members in sorted(FAMILIES.items())),
        "",
        "## Transforms",
        "",
        "Under `transform`; what cannot be transformed is dropped, so that no arm mixes changed and unchanged "
        "documents.",
        "",
        "| transform | what it does | settings |",
        "|---|---|---|",
        *(_rule_row(name, transform) for name, transform in sorted(TRANSFORMS.items())),
        "",
        "## Measures",
        "",
        "Under `keep`, beside the fields of the records: measures of a document's text after the rules.",
        "",
        "| measure | what it is |",
        "|---|---|",
        *(f"| `{name}` | {measure.what} |" for name, measure in sorted(ATTRIBUTES.items())),
        "",
        "## Datasets with a name",
        "",
        "Under `read: {hub: NAME, revision: COMMIT}`, or of a local copy `read: {hub: FOLDER, as: NAME}`. Hub id, "
        "files, columns, labels to leave out, licence and group are known.",
        "",
        "| name | dataset | licence | to know |",
        "|---|---|---|---|",
        *map(_dataset_row, DEFINITIONS),
        "",
    ]
    return "\n".join(rows)


def _rule_row(name: str, rule: type[Rule]) -> str:
    made: Any = rule
    paragraph = " ".join((rule.__doc__ or "").split("\n\n")[0].split())
    thresholds = ", ".join(f"`{f.name.replace('_', '-')}` {_threshold(f.default)}" for f in dataclasses.fields(made))
    return f"| `{name}` | {paragraph} | {thresholds or 'none'} |".replace("\n", " ")


def _threshold(value: Any) -> str:
    if isinstance(value, tuple):
        return ", ".join(map(str, value)).replace("|", "\\|") or "none"
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value).replace("|", "\\|")


def _member(call: Call) -> str:
    if isinstance(call, str):
        return f"`{call}`"
    said = ", ".join(f"{name.replace('_', '-')}: {_threshold(value)}" for name, value in call[1].items())
    return f"`{call[0]}` ({said})"


def _dataset_row(one: Definition) -> str:
    name = f"{one.name.rstrip('/')}/{one.parts.upper().replace(' ', '-')}" if one.parts else one.name
    what = one.unusable or one.notes
    gated = "Terms to accept on the hub first. " if one.gated else ""
    return f"| `{name}` | {one.hub} | {one.license} | {gated}{' '.join(what.split())} |"


def _presets() -> str:
    rows = ["## Presets", "", "| preset | layers | width | heads | feed-forward |", "|---|---|---|---|---|"]
    for name, spec in PRESETS.items():
        rows.append(f"| `{name}` | {spec.layers} | {spec.width} | {spec.heads} | {spec.feed_forward} |")
    return "\n".join([*rows, ""])


def main(arguments: list[str]) -> None:
    """Write the reference to a file, by default `docs/study-file.md`."""
    Path(arguments[0] if arguments else "docs/study-file.md").write_text(reference(), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
