"""The study file's schema: every key, its type, default and meaning, as pydantic models.

Guarantees: strict (no unknown key, no silent conversion), exact amounts and shares; what a file says under
one key is checked here, what ties keys together in `resolve`. The descriptions are the source of
`docs/study-file.md`.

Keys are spelled in kebab case; `StudyForm.model_validate` takes plain data (`document.read_document`, or a
mapping).
"""

from __future__ import annotations

import math
import re
import unicodedata
from dataclasses import dataclass
from fractions import Fraction
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainValidator,
    model_validator,
)

from pretrial.corpus.kinds import KINDS
from pretrial.study.schema import Call, Carry, Clock, Holds, Margin, Precision
from pretrial.study.units import parse_bytes, parse_margin, parse_range, parse_share, parse_tokens


class Kind:
    """What a value is called in the reference, kept beside its validator."""

    def __init__(self, name: str) -> None:
        self.name = name


def _positive(amount: int) -> int:
    if amount == 0:
        raise ValueError("is 0; an amount above 0 is needed here")
    return amount


def _above_zero(share: Fraction) -> Fraction:
    if share == 0:
        raise ValueError("is 0%; leave out what has no share")
    return share


def _name(text: str) -> str:
    if not text:
        raise ValueError("a name is empty")
    if text != text.strip():
        raise ValueError(f"the name {text!r} begins or ends with a space")
    if any(unicodedata.category(c) in ("Cc", "Cs", "Zl", "Zp") for c in text):
        raise ValueError(f"the name {text!r} holds a control character")
    return text


def _slug(text: str) -> str:
    good = text.isascii() and text[:1].isalnum() and all(c.isalnum() or c in "._-" for c in text)
    if not good or len(text) > 100:
        raise ValueError(
            f"{text!r} cannot name a folder; use letters, digits, '.', '_' and '-', beginning with a letter or digit"
        )
    return text


def _said(text: str) -> str:
    if not text.strip():
        raise ValueError("is empty")
    return text.strip()


def _location(value: object) -> str | tuple[str, ...]:
    places = value if isinstance(value, list) else [value]
    named = [place for place in places if isinstance(place, str) and place.strip()]
    if not named or len(named) < len(places):
        raise ValueError("must be a path, or a list of paths")
    for place in named:
        if re.search("[{}]", re.sub(r"^\{[a-z][a-z0-9_]*\}", "", place)):
            raise ValueError(
                f"{place!r}: only {{data}} (the folder of --data) and {{name}} (that of PRETRIAL_DATA_NAME) are filled "
                "in, at the beginning"
            )
    return tuple(named) if isinstance(value, list) else named[0]


def _seeds(value: object) -> tuple[int, ...]:
    if isinstance(value, int) and not isinstance(value, bool):
        if value < 1:
            raise ValueError("at least one seed is needed")
        return tuple(range(1, value + 1))
    if isinstance(value, list) and value:
        if not all(isinstance(seed, int) and not isinstance(seed, bool) and seed > 0 for seed in value):
            raise ValueError("seeds are whole numbers above 0")
        if len(set(value)) < len(value):
            raise ValueError("a seed is listed twice")
        return tuple(value)
    raise ValueError("must be a number of seeds (3 means 1, 2 and 3), or a list of distinct ones")


def _lr(value: object) -> float | Literal["preset"]:
    if value == "preset":
        return "preset"
    if isinstance(value, (int, float)) and not isinstance(value, bool) and value > 0 and math.isfinite(value):
        return float(value)
    raise ValueError("must be a number above 0, or preset")


def _floor(value: object) -> float:
    return float(parse_share(value))


def _margin(value: object) -> Margin:
    kind, number = parse_margin(value)
    if number == 0:
        raise ValueError("is 0; nothing is equivalent within nothing")
    return Margin(kind, number)


@dataclass(frozen=True)
class Parts:
    """A share that a named mixture of a split source's parts divides, such as the paper's languages."""

    share: Fraction
    named: str


def _mixed(value: object) -> Fraction | Parts:
    if not isinstance(value, dict):
        return _above_zero(parse_share(value))
    if sorted(value) != ["as", "share"] or not isinstance(value["as"], str):
        raise ValueError("a source of a mixture has a share, or {share: 80%, as: NAME} for the parts of a split one")
    return Parts(_above_zero(parse_share(value["share"])), value["as"])


def _calls(value: object) -> tuple[Call, ...]:
    if not isinstance(value, list):
        value = [value]
    calls: list[Call] = []
    for item in value:
        if isinstance(item, str) and item.strip():
            calls.append(item.strip())
        elif isinstance(item, dict) and len(item) == 1 and isinstance(next(iter(item.values())), dict | None):
            name, thresholds = next(iter(item.items()))
            calls.append((name, dict(thresholds)) if thresholds else name)
        else:
            raise ValueError(f"{item!r} is neither a name nor {{NAME: {{THRESHOLD: VALUE}}}}")
    return tuple(calls)


def _kept(value: object) -> tuple[str, ...] | dict[str, float | None]:
    if isinstance(value, str) and ".." in value and (span := parse_range(value)) is not None:
        return {"least": span[0], "most": span[1]}
    values = value if isinstance(value, list) else [value]
    if isinstance(value, str) and ".." in value:
        raise ValueError(
            f"{value!r} is no range of numbers; write 10.., ..80% or 0.1..0.5, or for a text a list: [{value}]"
        )
    for one in values:
        if isinstance(one, str) and re.fullmatch(r"[-+\deE.%\s]*\.\.[-+\deE.%\s]*", one):
            raise ValueError(f"{one!r} is no range; write 10.., ..80% or 0.1..0.5, not in a list")
    if not values:
        raise ValueError("keeps nothing: list the values to keep")
    if any(isinstance(one, dict | list | float) or one is None for one in values):
        raise ValueError("must be a list of values, or a range such as 10.., ..80% or 0.1..0.5")
    return tuple(str(one).lower() if isinstance(one, bool) else str(one) for one in values)


def _keeps(value: object) -> object:
    """Percentages of a measure that is no share say nothing; once a range is read, they are numbers like others."""
    from pretrial.corpus.attributes import ATTRIBUTES

    for field, said in value.items() if isinstance(value, dict) else ():
        if field in ATTRIBUTES and not ATTRIBUTES[field].share and isinstance(said, str) and "%" in said:
            raise ValueError(f"{field} is no share, and {said} is a percentage; write a number, such as {field}: 10..")
    return value


def _decontaminate(value: object) -> bool | tuple[str, ...]:
    if isinstance(value, bool):
        return value
    if not isinstance(value, list | tuple) or not all(isinstance(one, str) for one in value):
        raise ValueError("must be true, false, or a list of benchmarks")
    if not value:
        raise ValueError("names no benchmark: list some, or say true for those that are evaluated")
    return tuple(dict.fromkeys(value))


def _model(value: object) -> object:
    return {"name": value} if isinstance(value, str) else value


def _evaluate(value: object) -> object:
    return {"tasks": value} if isinstance(value, list) else value


Name = Annotated[str, AfterValidator(_name), Kind("name")]
Text = Annotated[str, AfterValidator(_said), Kind("text")]
Slug = Annotated[str, AfterValidator(_slug), Kind("name of a folder")]
Location = Annotated[str | tuple[str, ...], PlainValidator(_location), Kind("path or list of paths")]
Tokens = Annotated[int, BeforeValidator(parse_tokens), Kind("tokens")]
SomeTokens = Annotated[int, BeforeValidator(parse_tokens), AfterValidator(_positive), Kind("tokens")]
Bytes = Annotated[int, BeforeValidator(parse_bytes), AfterValidator(_positive), Kind("bytes")]
Share = Annotated[Fraction, PlainValidator(parse_share), AfterValidator(_above_zero), Kind("share")]
Mixed = Annotated[Fraction | Parts, PlainValidator(_mixed), Kind("share")]
Calls = Annotated[tuple[Call, ...], PlainValidator(_calls), Kind("list of names, each perhaps with thresholds")]
Kept = Annotated[
    tuple[str, ...] | dict[str, float | None], PlainValidator(_kept), Kind("list of values, or range of numbers")
]
Decontaminate = Annotated[
    bool | tuple[str, ...], PlainValidator(_decontaminate), Kind("true, false, or list of benchmarks")
]
Floor = Annotated[float, PlainValidator(_floor), Kind("share")]
Seeds = Annotated[tuple[int, ...], PlainValidator(_seeds), Kind("number, or list of numbers")]
Rate = Annotated[float | Literal["preset"], PlainValidator(_lr), Kind("number above 0, or preset")]
Number = Annotated[float, Field(gt=0, allow_inf_nan=False), Kind("number above 0")]
NotNegative = Annotated[float, Field(ge=0, allow_inf_nan=False), Kind("number")]
Beta = Annotated[float, Field(ge=0, lt=1, allow_inf_nan=False), Kind("number")]
Count = Annotated[int, Field(gt=0), Kind("whole number")]
Delta = Annotated[Margin, PlainValidator(_margin), Kind("margin")]


class Form(BaseModel):
    """A mapping of the study file."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        strict=True,
        alias_generator=lambda name: name.strip("_").replace("_", "-"),
    )

    def only(self, *names: str) -> list[str]:
        """Those of the fields that were given (not null), as the file spells them."""
        return [name.strip("_").replace("_", "-") for name in names if getattr(self, name) is not None]


def _exactly_one(given: list[str], names: str) -> str:
    if len(given) != 1:
        raise ValueError(f"needs exactly one of {names}, not " + (" and ".join(given) if given else "none of them"))
    return given[0]


class ModelForm(Form):
    """The model: a preset's name alone (`model: 2m`), or a mapping of numbers."""

    name: Annotated[str | None, Kind("preset")] = Field(
        None,
        description="A preset from 1m up; with numbers, a label for them.",
        examples=["2m"],
    )
    layers: Count | None = Field(None, description="Number of blocks.", examples=[5])
    width: Count | None = Field(None, description="Channels of the residual stream.", examples=[128])
    heads: Count | None = Field(None, description="Attention heads.", examples=[4])
    feed_forward: Count | None = Field(
        None, description="Inner channels of the gated feed-forward part.", examples=[352]
    )
    kv_heads: Count | None = Field(
        None, description="Key and value heads; as many as `heads` where left out.", examples=[4]
    )


class TrainTokenizerForm(Form):
    """A byte-level BPE to train."""

    vocabulary: Annotated[int, Field(ge=257), Kind("whole number")] = Field(
        description="Number of ids, the mark that separates documents included; at least 257.",
        examples=[8192],
    )
    from_: dict[Name, Share] = Field(
        min_length=1,
        description="Share of the training bytes of each source; they sum to 100%. "
        "Only sources of some mixture: the tokenizer must not see a transfer domain.",
        examples=["{prose: 50%, python: 50%}"],
    )


class TokenizerForm(Form):
    """Exactly one of `train` and `file`."""

    train: TrainTokenizerForm | None = Field(None, description="Train one on the study's own sources.")
    file: Text | None = Field(
        None,
        description="Path of an existing `tokenizer.json`, relative to the study file.",
        examples=["tokenizer.json"],
    )

    @model_validator(mode="after")
    def _one(self) -> TokenizerForm:
        _exactly_one(self.only("train", "file"), "train and file")
        return self


class ReadForm(Form):
    """Exactly one kind of reading, with what it takes.

    A path may be a glob, or a list. `{data}` at its beginning is the folder of `--data`, `{name}` that of the
    environment's PRETRIAL_DATA_NAME.

    Links are followed where a path or glob names files (`jsonl`, `parquet`, `archives`, `stackexchange`), where a path
    names a folder, and in a dataset's folder (`hub`) as far as they stay in it. Links that lie in a tree (`files`,
    `docstrings`, `notebooks`) or among repositories are not followed, but counted and listed.
    """

    jsonl: Location | None = Field(None, description=KINDS["jsonl"].what, examples=["'{data}/text/science.jsonl.zst'"])
    parquet: Location | None = Field(None, description=KINDS["parquet"].what, examples=["'{data}/web/*.parquet'"])
    files: Location | None = Field(None, description=KINDS["files"].what, examples=["installed"])
    docstrings: Location | None = Field(None, description=KINDS["docstrings"].what, examples=["installed"])
    metadata: Location | None = Field(None, description=KINDS["metadata"].what, examples=["installed"])
    pydoc: Location | None = Field(None, description=KINDS["pydoc"].what, examples=["topics"])
    archives: Location | None = Field(None, description=KINDS["archives"].what, examples=["'wheels/*.whl'"])
    git: Location | None = Field(None, description=KINDS["git"].what, examples=["repositories"])
    commits: Location | None = Field(None, description=KINDS["commits"].what, examples=["repositories"])
    notebooks: Location | None = Field(None, description=KINDS["notebooks"].what, examples=["notebooks"])
    stackexchange: Location | None = Field(
        None, description=KINDS["stackexchange"].what, examples=["cooking.stackexchange.com.7z"]
    )
    hub: Text | None = Field(None, description=KINDS["hub"].what, examples=["the-stack-dedup/python"])
    filler: Text | None = Field(None, description=KINDS["filler"].what, examples=["dyck"])
    languages: list[Text] | None = Field(
        None,
        description="For `files`, `archives` and `git`: only these languages; `code` are the 25 of *To Code, or Not To "
        "Code?*, `markup` its 10, `data` text, XML, Roff, SMT, OWL and DOT. Default: code. For `hub`: these languages "
        "of a ready definition that has parts by language (`hub: the-stack-dedup`), each document with its own.",
        examples=["[python]"],
    )
    drop_docstrings: bool | None = Field(
        None,
        description="For `files`, `archives` and `git`: take docstrings out of Python files. Default: false.",
        examples=["true"],
    )
    generated: bool | None = Field(
        None,
        description="For `files`, `docstrings`, `archives` and `git`: keep files that say in their first five lines "
        "that a tool wrote them, and minified and lock files. Default: false; they are skipped, and listed.",
        examples=["true"],
    )
    text: Text | None = Field(
        None,
        description="For `jsonl`, `parquet` and `hub`: the field of the text; dots go into nested records. "
        "Default: text.",
        examples=["text"],
    )
    id: Text | None = Field(
        None,
        description="For `jsonl`, `parquet` and `hub`: the field that names a document; dots go into nested "
        "records. Default: id; none for `hub`.",
        examples=["id"],
    )
    revision: Text | None = Field(
        None,
        description="For `git` and `commits`: branch, tag or commit; default HEAD. For `notebooks`: the same, and that "
        "git repositories are read, not folders. For `hub`: the commit, in 40 hex digits; needed unless a folder is "
        "read.",
        examples=["v1.0"],
    )
    form: Text | None = Field(
        None,
        description="For `commits`: `diff` (default) or `before-after`. For `notebooks`: `script` (default) or "
        "`structured` (cells with their outputs).",
        examples=["structured"],
    )
    max_files: Count | None = Field(
        None,
        description="For `commits`: most files that one may change, whether they are shown or not. Default: 50.",
        examples=[10],
    )
    max_file: Bytes | None = Field(
        None,
        description="For `commits`: most bytes of a file whose change is shown; larger ones are counted in the field "
        "`omitted`. Default: 1 MB.",
        examples=["100 KB"],
    )
    max_diff: Bytes | None = Field(
        None,
        description="For `commits`: most bytes of the changes of one; before and after together, in that form. "
        "Default: 100 KB.",
        examples=["20 KB"],
    )
    max_output: Annotated[int | None, Kind("whole number")] = Field(
        None,
        ge=0,
        description="For `notebooks`: most characters of one cell's output, in the form `structured`. Default: 2000.",
        examples=[500],
    )
    site: Text | None = Field(
        None,
        description="For `stackexchange`: the site's host name. By default that in the name of the dump, of the folder "
        "in an archive, or of the folder that the dump lies in.",
        examples=["cooking.stackexchange.com"],
    )
    min_answers: Annotated[int | None, Kind("whole number")] = Field(
        None, ge=0, description="For `stackexchange`: least answers of a question. Default: 1.", examples=[3]
    )
    min_score: Annotated[int | None, Kind("whole number")] = Field(
        None, description="For `stackexchange`: least score of a question.", examples=[1]
    )
    min_answer_score: Annotated[int | None, Kind("whole number")] = Field(
        None, description="For `stackexchange`: answers below this score are left out.", examples=[1]
    )
    fields: dict[Text, Text] | None = Field(
        None,
        description="For `jsonl`, `parquet` and `hub`: fields that have other names in the records, each with its name "
        "there; dots go into nested records. Rules, `group` and reports know `license`, `language`, `path`, "
        "`repository`, `url`, `site` and `kind`.",
        examples=["{license: meta.license, language: lang}"],
    )
    as_: Text | None = Field(
        None,
        description="For `hub`: the ready definition by which a folder, or a dataset under another id, is read: its "
        "files, columns, labels, licence and group.",
        examples=["starcoderdata-commits"],
    )
    config: Text | None = Field(None, description="For `hub`: which of the dataset's configs.", examples=["sample"])
    split: Text | None = Field(None, description="For `hub`: which split. Default: train.", examples=["train"])
    patterns: list[Text] | None = Field(
        None,
        description="For `hub`: the files, as globs, in the place of config and split.",
        examples=["[data/python/*.parquet]"],
    )
    take: Bytes | None = Field(
        None,
        description="For `hub`: most bytes of files, as they are stored; files in the order of their names' hash, "
        "those of several languages in turns.",
        examples=["2 GB"],
    )
    stream: bool | None = Field(
        None,
        description="For `hub`: read Parquet by row groups over the network, only the columns needed, and keep no "
        "file. Its bytes cannot be hashed then, only its commit and size. Default: false.",
        examples=["true"],
    )
    size: Bytes | None = Field(
        None, description="For `filler`: bytes to make, to within 1%. Default: 1 MB.", examples=["4 MB"]
    )
    seed: Count | None = Field(
        None, description="For `filler`: what its documents follow from. Default: 1.", examples=[1]
    )
    cap_file: Bytes | None = Field(
        None, description="Most bytes taken of one document; the rest of it is left out.", examples=["60 KB"]
    )
    cap_group: Bytes | None = Field(
        None,
        description="Most bytes of one package's files; whole files in the order of their names' hash.",
        examples=["1.5 MB"],
    )

    @property
    def chosen(self) -> tuple[str, str | tuple[str, ...]]:
        """The kind of reading and where it reads."""
        return next((kind, getattr(self, kind)) for kind in KINDS if getattr(self, kind) is not None)

    @property
    def options(self) -> dict[str, Any]:
        """What was said of the kind's options."""
        said = {name: getattr(self, name) for name in type(self).model_fields if name not in KINDS}
        return {
            name.strip("_"): tuple(value) if isinstance(value, list) else value
            for name, value in said.items()
            if value is not None
        }

    @model_validator(mode="after")
    def _one_kind(self) -> ReadForm:
        _exactly_one(self.only(*KINDS), f"{', '.join(list(KINDS)[:-1])} and {list(KINDS)[-1]}")
        return self


class SourceForm(Form):
    """A corpus: exactly one of `read` and `from`."""

    read: ReadForm | None = Field(None, description="Where the documents come from.")
    from_: Name | None = Field(
        None,
        description="Another source, or a part of a split one, whose documents these are: what is held out of it is "
        "held out here.",
        examples=["web-code"],
    )
    filter: Calls = Field(
        (),
        description="Rules applied to each document, in order; a family stands for its rules. Thresholds that are not "
        "said are the published ones. The rules are below.",
        examples=["[no-code, {gopher: {min-words: 20}}]"],
    )
    transform: Calls = Field(
        (),
        description="Changes made to each document after the rules, in order. They are below.",
        examples=["[strip-comments]"],
    )
    group: Text | None = Field(
        None,
        description="What keeps documents together when some are held out: `document` (each by itself), "
        "`package` (for what is read from Python packages and archives), `repository` and `directory` (for files), or "
        "a field of the records, such as `book`. Default: that of the ready definition, else document. A source made "
        "`from` another has its groups.",
        examples=["package"],
    )
    license: Text | None = Field(
        None,
        description="Licence of the whole source, where its records do not say. Default: that of the ready definition.",
        examples=["CC-BY-4.0"],
    )
    keep: Annotated[dict[Text, Kept] | None, BeforeValidator(_keeps)] = Field(
        None,
        description="Only documents whose field has one of these values, or lies in this range; for a field of the "
        "records, or a measure of the text (below). What has no such field or measure is left out. Fields are asked "
        "before the rules and counted by value; measures after them, and what these leave out is listed.",
        examples=["{language: [python, go], comment-share: 10%..80%}"],
    )
    split: Text | None = Field(
        None,
        description="A field by whose values the source has parts, named as SOURCE/VALUE: in mixtures, in `from`, and "
        "for the tokenizer. Each document is in one part; several licences are one value: `code/BSD-3-Clause AND MIT`.",
        examples=["language"],
    )
    max_epochs: Number | None = Field(
        None,
        description="Most passes any variant may make over the source's documents, also under the names of sources "
        "made from it; more is an error once they have been read.",
        examples=[4],
    )

    @model_validator(mode="after")
    def _one(self) -> SourceForm:
        _exactly_one(self.only("read", "from_"), "read and from")
        if self.from_ is not None:
            for key in ("group", "license"):
                if key in self.model_fields_set:
                    raise ValueError(f"{key} is that of the source {self.from_!r}, which it is made from: leave it out")
        return self


class AdamWForm(Form):
    """AdamW (Loshchilov and Hutter 2019)."""

    lr: Rate = Field(
        "preset",
        description="Peak learning rate; `preset` follows DataDecide's ladder from 4m up and a stated "
        "extrapolation below.",
        examples=[0.004],
    )
    betas: list[Beta] = Field(
        [0.9, 0.95],
        min_length=2,
        max_length=2,
        description="Decay of both moments.",
        examples=["[0.9, 0.95]"],
    )
    eps: Number = Field(1e-8, description="Added to the root of the second moment.", examples=[1e-8])
    weight_decay: NotNegative = Field(
        0.1, description="Decoupled decay, on matrices and the embedding.", examples=[0.1]
    )
    clip: Number = Field(1.0, description="Largest norm of a step's gradient.", examples=[1.0])


class OptimizerForm(Form):
    """The optimiser; there is one."""

    adamw: AdamWForm = Field(
        default_factory=AdamWForm.model_construct,
        description="AdamW and its numbers.",
        examples=["{lr: 0.004}"],
    )


class RampForm(Form):
    """The shape `linear` or `cosine`."""

    warmup: Tokens = Field(description="Linear warm-up from 0; at least 20 steps.", examples=["200K tokens"])
    floor: Floor = Field(0.1, description="Share of the peak at the horizon.", examples=["10%"])


class ConstantForm(Form):
    """The shape `constant`."""

    warmup: Tokens = Field(description="Linear warm-up from 0; 0, or at least 20 steps.", examples=["200K tokens"])


class StableForm(Form):
    """The shape `warmup-stable-decay`."""

    warmup: Tokens = Field(description="Linear warm-up from 0; at least 20 steps.", examples=["200K tokens"])
    decay: SomeTokens = Field(
        description="Length of the linear decay that ends at the horizon.", examples=["1M tokens"]
    )
    floor: Floor = Field(0.1, description="Share of the peak at the horizon.", examples=["10%"])


class ScheduleForm(Form):
    """Exactly one shape, and the clock it runs on."""

    linear: RampForm | None = Field(
        None, description="Warm-up, then linear to the floor.", examples=["{warmup: 200K tokens, floor: 10%}"]
    )
    cosine: RampForm | None = Field(
        None,
        description="Warm-up, then half a cosine to the floor.",
        examples=["{warmup: 200K tokens, floor: 10%}"],
    )
    constant: ConstantForm | None = Field(
        None, description="Warm-up, then the peak.", examples=["{warmup: 200K tokens}"]
    )
    warmup_stable_decay: StableForm | None = Field(
        None,
        description="Warm-up, the peak, then a linear decay.",
        examples=["{warmup: 200K tokens, decay: 1M tokens, floor: 10%}"],
    )
    clock: Clock | None = Field(
        None,
        description="`variant`: one function of tokens across all pre-training stages; `stage`: it "
        "restarts with each. "
        "Default: variant (stage, in a stage's own schedule).",
        examples=["variant"],
    )

    @model_validator(mode="after")
    def _one(self) -> ScheduleForm:
        given = self.only("linear", "cosine", "constant", "warmup_stable_decay")
        _exactly_one(given, "linear, cosine, constant and warmup-stable-decay")
        return self


class TrainingForm(Form):
    """How every variant is trained."""

    batch: SomeTokens = Field(
        description="Tokens of one optimiser step: a whole multiple of `context`.", examples=["8192 tokens"]
    )
    optimizer: OptimizerForm = Field(
        default_factory=lambda: OptimizerForm.model_construct(adamw=AdamWForm.model_construct()),
        description="The optimiser and its numbers.",
        examples=["{adamw: {lr: 0.004}}"],
    )
    schedule: ScheduleForm = Field(
        description="The learning rate over tokens.",
        examples=["{linear: {warmup: 200K tokens, floor: 10%}, clock: variant}"],
    )
    precision: Precision = Field(
        "auto", description="`auto`: bfloat16 where the processor has it, by rule.", examples=["auto"]
    )


class StageForm(Form):
    """A stage:

    `tokens` and a mixture, or a `cooldown` and a mixture. The first may say where the variant branches.
    """

    from_: Text | None = Field(
        None,
        description="In the first item only: the variant to branch from, at its end or at a step of it.",
        examples=["trunk@2M"],
    )
    name: Name | None = Field(None, description="Name of the stage; its number where left out.", examples=["anneal"])
    tokens: SomeTokens | None = Field(
        None, description="Budget of a pre-training stage; whole steps of it are trained.", examples=["2M"]
    )
    cooldown: SomeTokens | None = Field(
        None, description="Budget of a cooldown, linear from its parent's learning rate.", examples=["500K"]
    )
    mixture: Name | None = Field(None, description="What it trains on.", examples=["text"])
    floor: Floor | None = Field(
        None,
        description="For a cooldown: share of its first learning rate at its end. Default: 0%.",
        examples=["0%"],
    )
    lr: Number | None = Field(
        None,
        description="For a cooldown: its first learning rate, the parent's where left out. For a stage on "
        "its own "
        "clock: its peak.",
        examples=[0.002],
    )
    schedule: ScheduleForm | None = Field(
        None,
        description="A schedule of this stage alone, on its own clock.",
        examples=["{linear: {warmup: 100K tokens}}"],
    )

    @property
    def branches_only(self) -> bool:
        """Whether the item says nothing but where the variant branches."""
        return self.model_fields_set == {"from_"}

    @model_validator(mode="after")
    def _fits(self) -> StageForm:
        if self.branches_only:
            return self
        kind = _exactly_one(self.only("tokens", "cooldown"), "tokens and cooldown")
        if self.mixture is None:
            raise ValueError("needs a mixture")
        if kind == "tokens" and self.floor is not None:
            raise ValueError("floor goes with a cooldown; a stage's floor is its schedule's")
        if kind == "cooldown" and self.schedule is not None:
            raise ValueError("a cooldown is its own schedule: linear from its parent's learning rate to its floor")
        if self.schedule is not None and self.schedule.clock == "variant":
            raise ValueError("a stage's own schedule runs on the stage's clock")
        return self


class EvaluateForm(Form):
    """What is measured: a list of tasks, or a mapping with their budget too."""

    tasks: list[Text] = Field(
        min_length=1,
        description="Any of held-out, transfer, cloze, piqa, arc_easy, lambada, blimp.",
        examples=["[held-out, transfer]"],
    )
    domain_bytes: Bytes = Field(
        200_000, description="Text of each domain on which bits per byte are measured.", examples=["200 KB"]
    )
    items: Count = Field(200, description="Most items of a benchmark task.", examples=[200])
    cloze_items: Count = Field(800, description="Most items of the cloze task, in all.", examples=[800])
    at: list[SomeTokens] = Field(
        [],
        description="Token counts inside stages where bits per byte are measured too; rounded down to whole steps.",
        examples=["[500K, 1M]"],
    )


class NearForm(Form):
    """What counts as a near-duplicate, or `none` to look for none."""

    threshold: Share = Field(
        Fraction(4, 5),
        description="Least Jaccard similarity of two documents' sets of runs of words.",
        examples=["80%"],
    )
    words: Count = Field(5, description="Words of a run.", examples=[5])


def _near(value: object) -> object:
    return None if value is False or (isinstance(value, str) and value.lower() == "none") else value


class StudyForm(Form):
    """The whole file."""

    schema_: Literal[1] = Field(1, description="Version of this schema.", examples=[1])
    study: Slug = Field(description="Name of the study, and of its folder.", examples=["code-as-catalyst"])
    question: Text = Field(
        description="What the study asks, for its report.",
        examples=["Does code in pre-training help tasks that are not code?"],
    )
    model: Annotated[ModelForm, BeforeValidator(_model), Kind("preset, or mapping of numbers")] = Field(
        description="A preset's name, or the model's numbers.", examples=["2m"]
    )
    context: Annotated[int, Field(ge=8), Kind("whole number")] = Field(
        description="Loss-bearing tokens of one sequence; at least 8.", examples=[512]
    )
    tokenizer: TokenizerForm = Field(
        description="What turns text into tokens.",
        examples=["{train: {vocabulary: 8192, from: {prose: 50%, python: 50%}}}"],
    )
    seeds: Seeds = Field(
        description="How often every variant is trained, with what seeds; all variants share them, so "
        "comparisons are "
        "paired.",
        examples=[3],
    )
    smoke: bool = Field(
        False,
        description="Allow stages under 100 steps and short warm-ups, to try a study out.",
        examples=["true"],
    )
    sources: dict[Name, SourceForm] = Field(
        min_length=1, description="Corpora by name. One that is in no mixture is a transfer domain."
    )
    near_duplicates: Annotated[NearForm | None, BeforeValidator(_near), Kind("mapping, or none")] = Field(
        NearForm(threshold=Fraction(4, 5), words=5),
        description="Near-duplicates leave training: of a held-out document always, of each other all but the first.",
        examples=["{threshold: 80%, words: 5}", "none"],
    )
    decontaminate: Decontaminate = Field(
        True,
        description="Documents that hold items of the benchmarks that are evaluated leave training; with a list, also "
        "those that hold items of the benchmarks named, whose files lie beside theirs.",
        examples=["true", "[humaneval, mbpp, gsm8k]"],
    )
    mixtures: dict[Name, Annotated[dict[Name, Mixed], Field(min_length=1)]] = Field(
        min_length=1,
        description="Share of each source in tokens, by name of the mixture; the shares sum to 100%. A part of a split "
        "source is SOURCE/VALUE; `{share: 80%, as: paper-languages}` divides a share over the languages that a source "
        "reads or keeps as *To Code, or Not To Code?* (appendix A.1) had them, rounded to "
        "ten-thousandths of the mixture; `paper-markup` does so for its markup.",
        examples=["{text: {prose: 100%}}", "{code: {web-code: {share: 100%, as: paper-languages}}}"],
    )
    training: TrainingForm = Field(description="How every variant is trained.")
    variants: dict[Name, Annotated[list[StageForm], Field(min_length=1)]] = Field(
        min_length=1, description="The arms: each a list of stages."
    )
    carry: list[Carry] | None = Field(
        None,
        description="What one stage hands to the next: weights, optimizer (its moments), data (the "
        "position in each "
        "source). No default where a variant has two stages or a `from`.",
        examples=["[weights, optimizer, data]"],
    )
    baseline: Name = Field(description="The variant that all others are compared with.", examples=["text→text"])
    evaluate: Annotated[EvaluateForm, BeforeValidator(_evaluate), Kind("list of tasks, or mapping")] = Field(
        description="What is measured on checkpoints.", examples=["[held-out, transfer]"]
    )
    compare: Holds = Field(
        "compute",
        description="What comparisons hold fixed: compute (total tokens), text (text tokens and passes) or order.",
        examples=["compute"],
    )
    margins: dict[Text, Delta] = Field(
        {},
        description="How small a difference counts as none, by metric: a share of the baseline's value, "
        "points, or "
        "bits.",
        examples=["{bits-per-byte: 1%}"],
    )
    claims: list[Text] = Field(
        [],
        description="Statements judged at the end and registered before training; the grammar is below.",
        examples=["[balanced→text beats text→text on transfer by 0.5%]"],
    )


def form_at(loc: tuple[Any, ...], root: type[Form] = StudyForm) -> type[Form] | None:
    """The form that a pydantic location leads to from `root`, or None where it leads to something else."""
    at: Any = root
    for step in loc:
        at = _inner(at, step)
    return at if isinstance(at, type) and issubclass(at, Form) else None


def _inner(at: Any, step: Any) -> Any:
    if isinstance(at, type) and issubclass(at, Form):
        for field in at.model_fields.values():
            if field.alias == step:
                return strip(field.annotation)
        return None
    arguments = getattr(at, "__args__", ())
    return strip(arguments[-1]) if arguments else None


def strip(annotation: Any) -> Any:
    """An annotation without `Annotated` and without `| None`."""
    while True:
        if hasattr(annotation, "__metadata__"):
            annotation = annotation.__origin__
            continue
        arguments = getattr(annotation, "__args__", ())
        if type(None) in arguments:
            rest = [argument for argument in arguments if argument is not type(None)]
            if len(rest) == 1:
                annotation = rest[0]
                continue
        return annotation
