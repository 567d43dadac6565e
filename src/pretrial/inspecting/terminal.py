"""What the corpus commands print: tables on a terminal, plain lines of at most 120 columns elsewhere.

Nothing that a document holds reaches the terminal unescaped (`text.shown`), and its text stands behind a bar, so that
it cannot pass for a line of ours.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from pretrial.execute.progress import duration
from pretrial.inspecting.build import Built
from pretrial.inspecting.corpora import ENDS
from pretrial.inspecting.text import brief, shown

Json = dict[str, Any]
_BARS = 24


def print_built(console: Console, built: Built, funnels: Sequence[Json]) -> None:
    """What was made, and the funnel of each source."""
    for said in funnels:
        print_funnel(console, said)
    for name, error in built.failures.items():
        _line(console, f"failed: {name}: {shown(error, lines=True)}", style="bold red")
    if built.made:
        steps = "1 step" if len(built.made) == 1 else f"{len(built.made)} steps"
        _line(console, f"{steps} in {duration(built.seconds)}.")
    elif not built.failures:
        _line(console, f"Nothing to do: the corpora are made ({duration(built.seconds)}).")


def print_funnel(console: Console, said: Json) -> None:
    """What every step left of one source, where documents ended, and what was dropped."""
    origin = f", from {said['parent']}" if said["parent"] else ""
    _line(console, f"{said['source']} ({said['role']}{origin})", style="bold")
    table = _columns(("", False), ("documents", True), ("bytes", True), ("share", True), ("tokens", True))
    first = said["funnel"][0]["bytes"] if said["funnel"] else 0
    for row in said["funnel"]:
        table.add_row(Text("  " + shown(row["step"])), *_counts(row, first))
    last = said["funnel"][-1]["bytes"] if said["funnel"] else 0
    for row in said["ends"] or []:
        if row["documents"] or row["class"] in ("train", "held-out"):
            table.add_row(Text("  → " + ENDS.get(row["class"], row["class"])), *_counts(row, last))
    console.print(table)
    ratio = said["tokens_per_byte"]
    how = "measured on its own tokens" if ratio["basis"] == "measured" else "assumed; it is not tokenised yet"
    _line(
        console,
        f"  tokens with ≈ are bytes × {ratio['value']:.3f} ({how}); shares are of bytes read, and behind → "
        "of those that came through",
        style="dim",
    )
    if said["ends"] is None:
        _line(console, "  which documents train is decided once all sources have been read", style="dim")
    for step, reasons in said["rejected"].items():
        _line(console, f"  dropped by {shown(step)}: {_listed(reasons)}")
    for rule, kinds in said["removed"].items():
        _line(console, f"  taken out by {shown(rule)}: {_listed(kinds, ' bytes')}")
    for kind in ("skipped", "quarantined"):
        if said[kind]:
            _line(console, f"  {kind}: {_listed(said[kind])}")
    if said["ungrouped"]:
        _line(console, f"  {said['ungrouped']:,} documents are groups of their own: they lack the group's field")
    if said["repeated_ids"]:
        _line(console, f"  {said['repeated_ids']:,} documents repeat the id of another")


def print_inspection(console: Console, said: Json) -> None:
    """Distributions of one source."""
    counts = f"{said['documents']:,} documents, {said['bytes']:,} bytes, {said['groups']:,} groups"
    _line(console, f"{said['source']}: {counts}", style="bold")
    _line(console, "bytes of a document", style="bold")
    _line(console, f"  {_quantiles(said['lengths'])}")
    most = max((row["documents"] for row in said["lengths"]["histogram"]), default=1)
    table = _columns(("", True), ("", False), ("documents", True), ("bytes", True))
    for row in said["lengths"]["histogram"]:
        bar = "█" * round(_BARS * row["documents"] / most) or ("▏" if row["documents"] else "")
        size = f"  {row['from']:,} to {row['to'] - 1:,}"
        table.add_row(Text(size), Text(bar), f"{row['documents']:,}", f"{row['bytes']:,}")
    console.print(table)
    for name, field in said["fields"].items():
        more = f", the first {len(field['values'])}" if field["distinct"] > len(field["values"]) else ""
        without = f"; {field['without']:,} documents without" if field["without"] else ""
        _line(console, f"{name}: {field['distinct']:,} values{more}{without}", style="bold")
        table = _columns(("", False), ("documents", True), ("bytes", True), ("share", True))
        for row in field["values"]:
            share = row["bytes"] / field["bytes"] if field["bytes"] else 0.0
            table.add_row(
                Text("  " + brief(row["value"], 60)), f"{row['documents']:,}", f"{row['bytes']:,}", f"{share:.1%}"
            )
        console.print(table)
    if said["rejected"]:
        _line(console, "dropped, with what was measured", style="bold")
    for row in said["rejected"]:
        listed = "" if row["listed"] else " (counted, not listed)"
        measured = _measured(row)
        _line(console, f"  {row['step']}, {row['reason']}: {row['documents']:,}{listed}{measured}")
    _print_near(console, said["near_duplicates"])
    _print_contamination(console, said["contamination"])
    for name, measure in said["measures"].items():
        without = f"; {measure['without']:,} documents without" if measure["without"] else ""
        _line(console, f"{name}{_measured(measure) or ': of no document'}{without}")


def print_sample(console: Console, said: Json) -> None:
    """Documents, each with where it stands and why."""
    documents = said["documents"]
    _line(console, f"{said['source']}, {said['what']}: {len(documents)} of {said['of_documents']:,}", style="bold")
    for one in documents:
        if "rule" in one:
            value = "" if one["value"] is None else f", {_figure(one['value'])}"
            _line(console, f"{brief(one['id'], 90)}: {one['reason']}{value}", style="bold")
            _line(console, f"  {one['bytes']:,} bytes, {brief(one['where'], 90)}")
        else:
            of = f", {one['class']}" if one["class"] else ""
            _line(console, f"{brief(one['id'], 90)}", style="bold")
            _line(console, f"  row {one['row']:,}{of}, {one['bytes']:,} bytes, group {brief(one['group'], 70)}")
            fields = ", ".join(f"{key} {_figure(value)}" for key, value in one["meta"].items())
            if fields:
                _line(console, f"  {fields}")
        _quote(console, Text(shown(one["text"], lines=True) + ("…" if one["cut"] else "")))
        _print_reasons(console, one)


def print_trace(console: Console, said: Json) -> None:
    """The way of one token."""
    stage, document, text = said["stage"], said["document"], said["text"]
    inherited = f", inherited from {stage['inherited_from']}" if stage["inherited_from"] else ""
    _line(console, f"token {said['token']:,} of {said['variant']}, seed {said['seed']}", style="bold")
    _line(
        console,
        f"  stage {stage['name']} (mixture {stage['mixture']}, tokens {stage['first']:,} to {stage['last'] - 1:,}"
        f"{inherited})",
    )
    _line(console, f"  sequence {said['sequence']:,}, target {said['target']:,} in it")
    _line(
        console,
        f"  source {said['source']}: draw {said['draw']:,}, epoch {said['epoch']:,}, window {said['window']:,}, "
        f"place {said['stream']:,} of its tokens (all counted from 0)",
    )
    what = "the mark that ends the document" if text["mark"] else f"token {document['token']:,}"
    _line(console, f"  document {brief(document['id'], 90)}", style="bold")
    _line(
        console,
        f"    row {document['row']:,} of the corpus; {what} of its {document['tokens']:,}; "
        f"characters {document['characters'][0]:,} to {document['characters'][1]:,}",
    )
    _print_document(console, document, said["origin"])
    if said["root"]:
        root = said["root"]
        _line(console, f"  made from {brief(root['id'], 80)}, row {root['row']:,} of {root['source']}", style="bold")
        _print_document(console, root, root["origin"])
    middle = Text("⟦" + ("end" if text["mark"] else shown(text["token"], lines=True)) + "⟧", style="bold reverse")
    quoted = Text(shown(text["before"], lines=True)) + middle + Text(shown(text["after"], lines=True))
    _quote(console, quoted)


# -- inside ------------------------------------------------------------------------------------------------------------


def _print_document(console: Console, document: Json, origin: Json) -> None:
    _line(console, f"    group {brief(document['group'], 90)}, licence {brief(str(document['license'] or 'unknown'))}")
    read = ", ".join(
        f"{key.replace('_', ' ')} {_figure(value)}"
        for key, value in origin.items()
        if value not in (None, "", []) and key not in ("kind", "others")
    )
    _line(console, f"    read from {origin['kind']}: {read}")
    for other in origin.get("others", []):
        _line(console, f"    or, the same documents, from {_figure(other.get('name'))}")
    fields = ", ".join(f"{key} {_figure(value)}" for key, value in document["meta"].items())
    if fields:
        _line(console, f"    {fields}")


def _print_reasons(console: Console, one: Json) -> None:
    for partner in one.get("partners", []):
        _line(
            console,
            f"  similarity {partner['similarity']:.3f} to {partner['source']}, {brief(partner['id'], 60)} "
            f"({partner['class']}):",
        )
        _quote(console, Text(brief(partner["text"], 200)), "    ")
    if "stays" in one and not any(_same(partner, one["stays"]) for partner in one.get("partners", [])):
        stays = one["stays"]
        if stays is None:
            _line(console, "  which one stays is not known")
        else:
            away = f", {stays['pairs_away']} pairs away" if "pairs_away" in stays else ""
            _line(console, f"  for {stays['source']}, {brief(stays['id'], 80)}{away}")
    for hit in one.get("hits", []):
        _print_hit(console, hit)


def _same(partner: Json, stays: Json | None) -> bool:
    return stays is not None and (partner["source"], partner["row"]) == (stays["source"], stays["row"])


def _print_hit(console: Console, hit: Json) -> None:
    _line(
        console,
        f"  {hit['benchmark']}, item {brief(hit['item'], 40)}, {hit['part']} as {hit['kind']}: overlap "
        f"{hit['overlap']:.2f}, characters {hit['start']:,} to {hit['end']:,}",
    )
    _quote(console, Text(shown(hit["excerpt"])), "    ")


def _print_near(console: Console, found: Json | None) -> None:
    if found is None:
        return
    _line(console, f"near-duplicates, similarity from {found['threshold']:g}", style="bold")
    _line(
        console,
        f"  {found['in_components']:,} of {found['documents']:,} documents of {found['of']}: {found['within']:,} near "
        f"to one of the same source, {found['across']:,} to one of another",
    )
    for row in found["pairs"]:
        _line(console, f"  {' and '.join(dict.fromkeys(row['sources']))}: {row['pairs']:,} pairs")


def _print_contamination(console: Console, found: Json | None) -> None:
    if found is None:
        return
    _line(console, "benchmark items", style="bold")
    _line(
        console,
        f"  {found['contaminated']['documents']:,} of {found['documents']:,} documents of {found['of']} hold one "
        f"({found['rate']:.3%})",
    )
    for name, one in found["benchmarks"].items():
        _line(console, f"  {name}: {one['items']:,} of {one['of']:,} items, in {one['documents']:,} documents")
    for hit in found.get("spans", []):
        _line(console, f"  row {hit['row']:,}, {brief(hit['document'], 80)}", style="bold")
        _print_hit(console, hit)


def _columns(*columns: tuple[str, bool]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim")
    for name, right in columns:
        table.add_column(name, justify="right" if right else "left", overflow="fold")
    return table


def _counts(row: Mapping[str, Any], whole: int) -> tuple[str, str, str, str]:
    tokens = row["tokens"]
    about = "" if tokens["basis"] == "measured" else "≈"
    share = f"{row['bytes'] / whole:.1%}" if whole else ""
    return f"{row['documents']:,}", f"{row['bytes']:,}", share, f"{about}{tokens['value']:,}"


def _listed(counts: Mapping[str, int], unit: str = "") -> str:
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return ", ".join(f"{brief(name, 60)} {count:,}{unit}" for name, count in ordered)


def _measured(row: Mapping[str, Any]) -> str:
    if row.get("quantiles"):
        return f": {_quantiles(row)}"
    if row.get("values"):
        more = ", …" if row["distinct"] > len(row["values"]) else ""
        return ": " + ", ".join(f"{brief(one['value'], 40)} {one['documents']:,}" for one in row["values"]) + more
    return ""


def _quantiles(said: Mapping[str, Any]) -> str:
    names = {"0": "least", "0.05": "5%", "0.25": "25%", "0.5": "middle", "0.75": "75%", "0.95": "95%", "1": "most"}
    points = said["quantiles"]
    if not points:
        return "none"
    return ", ".join(f"{name} {_figure(points[key])}" for key, name in names.items())


def _figure(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:,.0f}" if value.is_integer() else f"{value:.4g}"
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    return brief(value if isinstance(value, str) else str(value), 60)


def _line(console: Console, text: str, style: str = "") -> None:
    """One of our lines; what is too long goes on indented."""
    body = text.lstrip(" ")
    indent = " " * (len(text) - len(body))
    for number, part in enumerate(_wrapped(console, Text(body), len(indent) + 2)):
        part.stylize(style)
        console.print(Text(indent + ("  " if number else "")) + part, soft_wrap=True)


def _quote(console: Console, text: Text, indent: str = "  ") -> None:
    """A document's words, each line behind a bar."""
    bar = f"{indent}│ "
    for line in _wrapped(console, text, len(bar)):
        console.print(Text(bar, style="dim") + line, soft_wrap=True)


def _wrapped(console: Console, text: Text, indent: int) -> Iterable[Text]:
    lines = text.split("\n", allow_blank=True)
    for line in lines:
        wrapped = line.wrap(console, max(20, console.width - indent), overflow="fold")
        for part in wrapped:
            part.rstrip()
            yield part
