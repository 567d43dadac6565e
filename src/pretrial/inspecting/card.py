"""The data card of a source: what it is, what was done to it, what is in it, its licences, how to rebuild it.

Guarantees: every number is the store's; the same store gives the same card; what comes from outside (names of files,
licences, languages, sites) stands in it as text and can make no markup (`text.markdown`). A card quotes no document.
Does not: know what the data may be used for: it says what licences are named, not whether that is true.
"""

from __future__ import annotations

import io
import json
import re
import shlex
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from pretrial.benchmarks.items import TASKS as BENCHMARKS
from pretrial.corpus.kinds import where_of
from pretrial.corpus.licences import Policy
from pretrial.corpus.licences.names import normalised
from pretrial.inspecting.corpora import ENDS, Corpora
from pretrial.inspecting.distributions import inspect
from pretrial.inspecting.funnel import UNUSED, funnel
from pretrial.inspecting.reasons import crowd
from pretrial.inspecting.text import fenced, markdown
from pretrial.store.identity import fingerprint

Json = dict[str, Any]
_FOLDER = re.compile(r"\{([a-z][a-z0-9_]*)\}")
_VARIABLE = "PRETRIAL_DATA_NAME"
ROWS = 50
"""Most rows of a table whose length the data decides."""
_NAMED = 5
"""Languages that a sentence names."""
_READ = {
    "jsonl": "Records of JSON lines",
    "parquet": "Records of Parquet files",
    "files": "Source files",
    "docstrings": "Docstrings and documentation",
    "metadata": "Descriptions of packages",
    "pydoc": "Topics of Python's own help",
    "archives": "Source files in archives",
    "git": "Source files of git repositories",
    "commits": "Commits of git repositories",
    "notebooks": "Jupyter notebooks",
    "stackexchange": "Threads of a StackExchange dump",
    "hub": "Records of a dataset",
    "filler": "Documents without content",
}
"""What the documents of a kind of reading are."""
_INSTALLED = {
    "installed": "the standard library and the installed packages that Pretrial needs",
    "stdlib": "the standard library of Python",
    "topics": "the installed Python",
}
_PERSONAL = {"email": "e-mail addresses", "ip": "IP addresses", "key": "keys"}
"""What the rule `redact` puts a mark in the place of, by kind."""
_WORDS = {
    "trains": "in a mixture: models are trained on it",
    "transfer domain": "in no mixture: a transfer domain, on which models are evaluated",
    "on the way to others": "in no mixture; other sources of the study are made from it",
    UNUSED: UNUSED,
}


def card(corpora: Corpora, source: str) -> str:
    """The data card, as Markdown that ends in a line end.

    Raises:
        RequestError: when the source was not read yet, or there is none of that name.
    """
    corpus = corpora.corpus(source)
    config = corpus.manifest["payload"]["config"]
    counted, seen = funnel(corpora, source), inspect(corpora, source, fields=["distribution"], top=ROWS)
    # What was done to a source it was made from was done to its documents.
    line = {name: corpora.corpus(name).manifest["payload"]["config"] for name in reversed(_line(corpora, source))}
    called = [(name, thresholds) for one in line.values() for name, _, thresholds in one["filter"]]
    calls = dict(called)
    redacted = [kind for name, thresholds in called if name == "redact" for kind in thresholds["kinds"]]
    parts = [
        f"# Data card: {markdown(source)}",
        f"A source of the study {markdown(corpora.study.name)}. Content `{corpus.content}`, key `{corpus.key}`.",
        *_what(corpora, source, config, counted),
        *_steps(line),
        *_funnel(counted, config["read"]),
        *_rejected(seen["rejected"]),
        *_licences(config, calls, seen),
        *_fields(seen["fields"]),
        *_lengths(seen),
        *_near(corpora, seen["near_duplicates"]),
        *_contamination(corpora, seen["contamination"]),
        *_provenance(corpora, source, config, seen),
        *_limits(config, calls, redacted, counted, seen),
        *_rebuild(corpora, source, counted),
    ]
    return "\n\n".join(parts) + "\n"


def file_name(source: str) -> str:
    """Name of a card's file: the source's, with what is no letter, digit, dot, dash or underscore as a dash.

    Where that changes it, six digits of its hash keep two sources apart.
    """
    name = "".join(c if c.isascii() and (c.isalnum() or c in "._-") else "-" for c in source).lstrip(".")
    return f"{name or 'source'}{'' if name == source else '-' + fingerprint(source)[:6]}.md"


def _what(corpora: Corpora, source: str, config: Json, counted: Json) -> list[str]:
    read = config["read"]
    study = corpora.source(source)
    lines: list[str]
    if study.parent is not None:
        lines = [f"Made from the source {markdown(study.parent)} of the same study."]
        if part := counted["part"]:
            field = markdown(part["field"])
            lines = [
                f"A part of the source {markdown(study.parent)} of the same study, which is split by {field}: the "
                f"documents whose {field} is {markdown(part['value'])}."
            ]
        if counted["root"] != study.parent:
            lines.append(f"That goes back to {markdown(counted['root'])}.")
    else:
        assert study.read is not None
        lines = [f"{_read_as(read)}, read with `{read['kind']}` from {_places(study.read.locations, read['scope'])}."]
    lines.append(f"Use: {_WORDS[counted['role']]}.")
    facts = [
        ("documents", f"{counted['funnel'][-1]['documents']:,}"),
        ("bytes of text", f"{counted['funnel'][-1]['bytes']:,}"),
        ("groups", f"{counted['groups']:,}, by {config['group']}"),
        *_inputs(counted["inputs"]),
        *(
            (f"read: {_kebab(key)}", _value(value))
            for key, value in read.items()
            if key not in ("kind", "scope", "tree")
        ),
        *((f"keep: {name}", _value(wanted)) for name, wanted in config["keep"].items()),
    ]
    return ["## What it is", " ".join(lines), _table(("", ""), facts)]


def _read_as(read: Json) -> str:
    """What the documents of a source that is read are, in words, with the languages that were asked for."""
    kind = read["kind"]
    if kind == "stackexchange" and read.get("site"):
        return f"{_READ[kind]} of {markdown(str(read['site']))}"
    languages = read.get("languages") or ()
    asked = f" in {', '.join(map(markdown, languages[:_NAMED]))}" if languages else ""
    more = f" and {len(languages) - _NAMED} more languages" if len(languages) > _NAMED else ""
    return f"{_READ.get(kind, 'Documents')}{asked}{more}"


def _places(locations: Sequence[str], scope: str) -> str:
    if scope in _INSTALLED:
        return _INSTALLED[scope]
    return ", ".join(map(markdown, locations))


def _inputs(read: Json | None) -> list[tuple[str, str]]:
    if read is None:
        return []
    size = f", {read['bytes']:,} bytes" if read["bytes"] is not None else ""
    return [(f"{read['what']} read", f"{read['count']:,}{size}")]


def _steps(line: Mapping[str, Json]) -> list[str]:
    rows = [
        (
            kind,
            name,
            str(version),
            ", ".join(f"{_kebab(key)} {_value(value)}" for key, value in thresholds.items()),
            *([source] if len(line) > 1 else []),
        )
        for source, config in line.items()
        for kind, calls in (("rule", config["filter"]), ("transform", config["transform"]))
        for name, version, thresholds in calls
    ]
    if not rows:
        return ["## Rules", "None: documents are as the reader gave them."]
    header = ("", "name", "version", "thresholds", *(["for the source"] if len(line) > 1 else []))
    return ["## Rules", "In this order.", _table(header, rows)]


def _funnel(counted: Json, read: Json) -> list[str]:
    ratio = counted["tokens_per_byte"]
    rows = [("after " + row["step"] if i else row["step"], *_counts(row)) for i, row in enumerate(counted["funnel"])]
    rows += [("→ " + ENDS.get(row["class"], row["class"]), *_counts(row)) for row in counted["ends"] or []]
    note = (
        f"Tokens marked ≈ are bytes × {ratio['value']:.3f}, "
        + ("what its own tokens have a byte." if ratio["basis"] == "measured" else "assumed: it is not tokenised yet.")
        + ("" if counted["ends"] else " Which documents train has not been decided yet.")
    )
    left = []
    for kind in ("skipped", "quarantined"):
        if counted[kind]:
            said = ", ".join(f"{markdown(reason)} {count:,}" for reason, count in counted[kind].items())
            left.append(f"{kind.capitalize()} before any step: {said}.")
    if read.get("generated") is False:
        left.append(
            "Files that say in their first five lines that a tool wrote them, minified and lock files are left out by "
            "the reader, before any rule; `generated: true` keeps them."
        )
    removed = [(rule, kind, f"{size:,}") for rule, kinds in counted["removed"].items() for kind, size in kinds.items()]
    table = [_table(("taken out by", "what", "bytes"), removed)] if removed else []
    return ["## What was kept", _table(("step", "documents", "bytes", "tokens"), rows), note, *left, *table]


def _rejected(rejected: Sequence[Json]) -> list[str]:
    rows = []
    for row in rejected[:ROWS]:
        quantiles = row.get("quantiles") or {}
        # One or two values are no distribution: each stands once.
        points = dict.fromkeys(f"{quantiles[at]:.4g}" for at in ("0", "0.5", "1")) if quantiles else {}
        middle = " … ".join(points)
        if not middle and row.get("values"):
            middle = ", ".join(f"{one['value']} {one['documents']:,}" for one in row["values"][:5])
        rows.append((row["step"], row["reason"], f"{row['documents']:,}", middle))
    if not rows:
        return []
    header = ("step", "reason", "documents", "measured (least … middle … most)")
    said = "With the step `read`: what the reader skipped and would have been a document."
    some = [said] if any(row["step"] == "read" for row in rejected) else []
    return ["## What was dropped", _table(header, rows), *_more(len(rejected)), *some]


def _licences(config: Json, rules: Mapping[str, Json], seen: Json) -> list[str]:
    rule = rules.get("license")
    policy = Policy(tuple(rule["allow"]), rule["unknown"]) if rule is not None else Policy()
    if rule is None:
        said = "No policy was applied. The last column says what the policy `permissive` would allow."
    else:
        allowed = ", ".join(markdown(one) for one in rule["allow"])
        unknown = "stay" if rule["unknown"] else "are dropped"
        said = f"Policy: {allowed}; documents without a known licence {unknown}. The last column applies it."
    if config["license"]:
        said += f" Documents that name none are taken to be under {markdown(config['license'])}."
    found = seen["fields"].get("license")
    if found is None:
        return ["## Licences", said, "No document names a licence."]
    rows = [
        (one["value"], *_shares(one, seen), "yes" if policy.allows(_expression(one["value"])) else "no")
        for one in found["values"]
    ]
    if found["without"]:
        rows.append(("(none named)", f"{found['without']:,}", "", "", "yes" if policy.allows(None) else "no"))
    header = ("licence", "documents", "bytes", "share of bytes", "allowed")
    return ["## Licences", said, _table(header, rows), *_more(found["distinct"])]


def _expression(value: str) -> str:
    """An SPDX expression of a licence field: of a list, all of it applies."""
    if value.startswith("["):
        try:
            return normalised([str(one) for one in json.loads(value)])
        except (ValueError, TypeError):
            return value
    return value


def _fields(fields: Json) -> list[str]:
    parts: list[str] = []
    for name, title in (
        ("language", "Languages"),
        ("site", "Sites"),
        ("repository", "Repositories"),
        ("kind", "Kinds"),
    ):
        found = fields.get(name)
        if found is not None:
            rows = [(one["value"], *_shares(one, found)) for one in found["values"]]
            header = (name, "documents", "bytes", "share of these bytes")
            parts += [f"## {title}", _table(header, rows), *_more(found["distinct"])]
            if found["without"]:
                parts.append(f"{found['without']:,} documents have none.")
    return parts


def _lengths(seen: Json) -> list[str]:
    quantiles = seen["lengths"]["quantiles"]
    names = {"0": "least", "0.05": "5%", "0.25": "25%", "0.5": "middle", "0.75": "75%", "0.95": "95%", "1": "most"}
    row = tuple(f"{quantiles[key]:,}" for key in names)
    return ["## Lengths", "In bytes of a document.", _table(tuple(names.values()), [row])]


def _near(corpora: Corpora, found: Json | None) -> list[str]:
    title = "## Near-duplicates"
    if found is None:
        asked = corpora.study.near_duplicates is not None
        return [title, "Not looked for yet." if asked else "The study looks for none."]
    said = (
        f"Of {found['documents']:,} documents of {markdown(found['of'])}, {found['in_components']:,} are near to "
        f"another one (Jaccard similarity of runs of {found['words']} words at least {found['threshold']:g}): "
        f"{found['within']:,} to one of the same source, {found['across']:,} to one of another."
    )
    rows = [(" and ".join(dict.fromkeys(row["sources"])), f"{row['pairs']:,}") for row in found["pairs"]]
    return [title, said, *([_table(("sources", "pairs"), rows)] if rows else [])]


def _contamination(corpora: Corpora, found: Json | None) -> list[str]:
    title = "## Benchmark items"
    if found is None:
        if any(name.startswith("benchmark items in") for name in corpora.graph.steps):
            return [title, "Not looked for in this source, or not yet."]
        return [title, "Not looked for: the study evaluates no benchmark, and `decontaminate` names none."]
    said = (
        f"{found['contaminated']['documents']:,} of {found['documents']:,} documents of {markdown(found['of'])} "
        f"({found['rate']:.3%}) hold an item of a benchmark that the study evaluates or names; "
        + ("none of them trains." if corpora.study.decontaminate else "they train: `decontaminate: false`.")
    )
    rows = [
        (name, f"{one['documents']:,}", f"{one['items']:,} of {one['of']:,}", f"{one['of'] - one['searchable']:,}")
        for name, one in found["benchmarks"].items()
    ]
    unseen = (
        "Items that cannot be found are too short to be told from chance (question and answer under 8 words together), "
        "or share all their wording with more than ten others: whether a document holds one is not known."
    )
    return [title, said, _table(("benchmark", "documents", "items found", "cannot be found"), rows), unseen]


def _provenance(corpora: Corpora, source: str, config: Json, seen: Json) -> list[str]:
    read, files = config["read"], config.get("files")
    steps = corpora.graph.steps[f"corpus {source}"].inputs
    if "parent" in steps:
        return ["## Provenance", f"See the card of {markdown(corpora.source(source).parent or '')}."]
    if "snapshot" in steps:
        snapshot = corpora.find(steps["snapshot"])
        if snapshot is None:
            return ["## Provenance", "The installed Python packages; the store has no record of them any more."]
        state = snapshot.facts["installed"]
        versions = {"python": state["python"], **dict(state["distributions"])}
        found = seen["fields"]["distribution"]
        said = f"Read from the installation of Python {markdown(state['python'])}, copied once. Of these distributions:"
        rows: list[tuple[str, ...]] = [
            (one["value"], versions.get(one["value"], ""), f"{one['documents']:,}") for one in found["values"]
        ]
        header: tuple[str, ...] = ("distribution", "version", "documents")
        return ["## Provenance", said, _table(header, rows), *_more(found["distinct"])]
    if files is None:
        return ["## Provenance", f"Made by Pretrial: {read.get('filler')}, seed {read.get('seed')}."]
    if read["scope"] == "hub":
        dataset = f"Dataset {markdown(read['dataset'])}" if read["dataset"] else "A folder in the hub's layout"
        said = f"{dataset}{', revision `' + str(read['revision']) + '`' if read['revision'] else ''}."
        header = ("file", "digest", "bytes")
        rows = [(name, digest, f"{size:,}") for name, digest, size in files]
    elif where_of(read) == "repositories":
        said, header = "Git repositories at these commits.", ("repository", "commit")
        rows = [(name, commit) for name, commit, _ in files]
    else:
        said, header = "Files, with the SHA-256 of their bytes.", ("file", "SHA-256")
        rows = [(name, sha) for name, sha, *_ in files]
    whole = f"{len(rows):,} in all; digest of the list `{fingerprint(files)}`, the list itself in the store's manifest."
    return ["## Provenance", said, _table(header, rows[:ROWS]), whole]


def _personal(redacted: Iterable[str]) -> list[str]:
    """Which kinds of personal data were replaced, and which were not looked for."""
    kinds = set(redacted)
    replaced = [words for kind, words in _PERSONAL.items() if kind in kinds]
    if not replaced:
        return ["Personal data and keys were not looked for."]
    left = [words for kind, words in _PERSONAL.items() if kind not in kinds]
    return [
        f"Replaced by a mark, where their form gave them away: {', '.join(replaced)}. Not looked for: "
        f"{', '.join([*left, 'names of people', 'telephone numbers'])}."
    ]


def _limits(config: Json, rules: Mapping[str, Json], redacted: Iterable[str], counted: Json, seen: Json) -> list[str]:
    said = ["Licences are the words of the source, or read off its licence files; nobody checked that they are true."]
    said += _personal(redacted)
    if "language" not in rules and "language" not in seen["fields"]:
        said.append("Nobody looked which natural language a document is in.")
    if (near := seen["near_duplicates"]) is not None:
        said.append(
            f"A pair whose similarity is just {near['threshold']:g} is missed with a probability of "
            f"{near['missed_at_threshold']:.1%} ({near['bands']} bands of {near['rows']} rows), a nearer one with "
            "less; paraphrases are no near-duplicates."
        )
        if near["crowded"]:
            said.append(crowd(near))
    if seen["contamination"] is not None:
        said.append("Paraphrases and translations of benchmark items are not found.")
    if counted["ungrouped"]:
        said.append(f"{counted['ungrouped']:,} documents have no {config['group']}: each is a group of its own.")
    if counted["repeated_ids"]:
        said.append(f"{counted['repeated_ids']:,} documents repeat the id of another.")
    return ["## Limits", "\n".join(f"- {markdown(line)}" for line in said)]


def _line(corpora: Corpora, source: str) -> list[str]:
    """The source, the one it is made from, and so on to the one that is read."""
    line = [source]
    while (parent := corpora.source(line[-1]).parent) is not None:
        line.append(parent)
    return line


def _rebuild(corpora: Corpora, source: str, counted: Json) -> list[str]:
    from ruamel.yaml import YAML

    text = io.StringIO()
    yaml = YAML()
    yaml.width = 110
    own = corpora.study.resolved()["sources"]
    # A part has no entry of its own: the source that it is a part of says by what it is split.
    names = [name for name in reversed(_line(corpora, source)) if not corpora.study.sources[name].is_part]
    yaml.dump({"sources": {name: own[name] | _split(corpora, name) for name in names}}, text)
    # The name alone: where the file lies is one machine's.
    study = Path(corpora.study.origin).name if corpora.study.folder else "STUDY"
    folders = _folders(corpora)
    variables = "".join(f"{_VARIABLE.replace('NAME', name.upper())}=DIR " for name in folders if name != "data")
    data = " --data DIR" if "data" in folders else ""
    said = "From the study, with the same inputs, to the same bytes"
    if folders:
        said += "; DIR is your folder of what the study calls " + " and ".join(f"`{{{name}}}`" for name in folders)
    part = counted["part"]
    of = f"The source that this is the part {markdown(part['value'])} of," if part else "The source"
    return [
        "## How to rebuild",
        f"{said}:",
        fenced(f"{variables}pretrial corpus build {shlex.quote(study)}{data}", "sh"),
        f"{of} as the study has it, every default visible:",
        fenced(text.getvalue(), "yaml"),
    ]


def _split(corpora: Corpora, source: str) -> Json:
    """The field by which a source is split into parts, where some source is one of them."""
    for one in corpora.study.sources.values():
        if one.is_part and one.parent == source and one.keep:
            return {"split": next(iter(one.keep))}
    return {}


def _folders(corpora: Corpora) -> list[str]:
    """Names of the folders that building the study's corpora needs: `data`, and those of its `{name}/…` locations."""
    study = corpora.study
    places = [place for source in study.sources.values() if source.read is not None for place in source.read.locations]
    named = {found[1] for place in [*places, study.tokenizer.file or ""] if (found := _FOLDER.match(place))}
    # Benchmarks lie in the data folder, and are looked for in every source.
    if study.decontaminate_also or any(task in BENCHMARKS for task in study.evaluate.tasks):
        named.add("data")
    return sorted(named)


# -- inside ------------------------------------------------------------------------------------------------------------


def _table(header: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    lines = [_row(header), "|" + "---|" * len(header)]
    return "\n".join([*lines, *(_row([str(cell) for cell in row]) for row in rows)])


def _row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(markdown(cell) for cell in cells) + " |"


def _counts(row: Mapping[str, Any]) -> tuple[str, str, str]:
    tokens = row["tokens"]
    about = "" if tokens["basis"] == "measured" else "≈"
    return f"{row['documents']:,}", f"{row['bytes']:,}", f"{about}{tokens['value']:,}"


def _shares(one: Mapping[str, Any], whole: Mapping[str, Any]) -> tuple[str, str, str]:
    share = one["bytes"] / whole["bytes"] if whole["bytes"] else 0.0
    return f"{one['documents']:,}", f"{one['bytes']:,}", f"{share:.1%}"


def _more(distinct: int) -> list[str]:
    return [f"The first {ROWS} of {distinct:,}."] if distinct > ROWS else []


def _kebab(name: str) -> str:
    return name.replace("_", "-")


def _value(value: Any) -> str:
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value)) or "none"
    if isinstance(value, Mapping) and set(value) == {"least", "most"}:
        return "..".join("" if value[end] is None else f"{value[end]:g}" for end in ("least", "most"))
    if isinstance(value, Mapping):
        return json.dumps(value, ensure_ascii=False, sort_keys=True)
    return "none" if value is None else str(value)
