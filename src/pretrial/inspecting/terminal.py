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
from pretrial.inspecting.exposure import unequal
from pretrial.inspecting.funnel import UNUSED, folded, in_steps
from pretrial.inspecting.reasons import crowd, in_words
from pretrial.inspecting.text import brief, shown

Json = dict[str, Any]
_BARS = 24


def print_built(console: Console, built: Built, funnels: Sequence[Json], *, refused: bool = False) -> None:
    """What was made, and the funnel of each source. `refused`: the request was wrong, which is said elsewhere."""
    for said in funnels:
        print_funnel(console, said)
    for name in built.sources:
        if name in built.corpora.unused:
            parent = shown(built.corpora.source(name).parent or "")
            _line(console, f"{shown(name)} ({UNUSED}, from {parent})", style="bold")
            _line(console, "  it is not made: put it in a mixture, or leave it out")
    if funnels:
        _line(
            console,
            "≈ is estimated: bytes times the tokens a byte in the head of the column, which are those of the source's "
            "own tokens, or assumed before it is tokenised",
            style="dim",
        )
    if not refused and not built.failures and any(said["ends"] is None for said in funnels):
        _line(console, "which documents train is decided once all sources have been read", style="dim")
    for sentence in unequal(built.corpora):
        _line(console, f"contaminated differently: {sentence}", style="bold")
    for name, error in built.failures.items():
        _line(console, f"failed: {name}: {shown(error, lines=True)}", style="bold red")
    if built.made:
        steps = "1 step" if len(built.made) == 1 else f"{len(built.made)} steps"
        _line(console, f"{steps} in {duration(built.seconds)}.")
    elif not built.failures and not refused:
        _line(console, f"Nothing to do: the corpora are made ({duration(built.seconds)}).")


def print_funnel(console: Console, said: Json) -> None:
    """What every step left of one source, where documents ended, and what was dropped."""
    origin = f", from {shown(said['parent'])}" if said["parent"] else ""
    if part := said["part"]:
        origin = f", part of {shown(said['parent'])}: {shown(part['field'])} {shown(part['value'])}"
    nothing = "" if said["funnel"] and said["funnel"][-1]["documents"] else "; no document is left"
    _line(console, f"{shown(said['source'])} ({said['role']}{origin}{nothing})", style="bold")
    if read := said["inputs"]:
        what = {"files": "file", "repositories": "repository"}[read["what"]] if read["count"] == 1 else read["what"]
        size = f", {read['bytes']:,} bytes" if read["bytes"] is not None else ""
        _line(console, f"  read from {read['count']:,} {what}{size}")
    ratio = said["tokens_per_byte"]
    assumed = "" if ratio["basis"] == "measured" else " assumed"
    tokens = f"tokens (≈ {ratio['value']:.3f} a byte{assumed})"
    table = _columns(("", False), ("documents", True), ("bytes", True), ("of bytes read", True), (tokens, True))
    first = said["funnel"][0]["bytes"] if said["funnel"] else 0
    for row in folded(said):
        if "steps" in row:
            table.add_row(Text(f"  {shown(in_steps(row['steps']))}: nothing"))
        else:
            table.add_row(Text("  " + shown(row["step"])), *_counts(row, first))
    for row in said["ends"] or []:
        if row["documents"] or row["class"] in ("train", "held-out"):
            table.add_row(Text("  → " + ENDS.get(row["class"], row["class"])), *_counts(row, first))
    console.print(table)
    for step, reasons in said["rejected"].items():
        _line(console, f"  dropped by {shown(step)}: {_why(said, step, reasons)}")
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
    if said["documents"]:
        _line(console, "bytes of a document", style="bold")
        _line(console, f"  {_quantiles(said['lengths'])}")
    else:
        _line(console, "  no document is left: what follows is of what was read")
    most = max((row["documents"] for row in said["lengths"]["histogram"]), default=1)
    table = _columns(("", True), ("", False), ("documents", True), ("bytes", True))
    for row in said["lengths"]["histogram"]:
        bar = "█" * round(_BARS * row["documents"] / most) or ("▏" if row["documents"] else "")
        size = f"  {row['from']:,} to {row['to'] - 1:,}"
        table.add_row(Text(size), Text(bar), f"{row['documents']:,}", f"{row['bytes']:,}")
    if said["documents"]:
        console.print(table)
    for name, field in said["fields"].items():
        if not field["distinct"]:
            there = ", ".join(shown(one) for one in said["field_names"]) or "none"
            _line(console, f"{shown(name)}: no document has this field; the fields there are: {there}", style="bold")
            continue
        more = f", the first {len(field['values'])}" if field["distinct"] > len(field["values"]) else ""
        without = f"; {field['without']:,} documents without" if field["without"] else ""
        _line(console, f"{shown(name)}: {field['distinct']:,} values{more}{without}", style="bold")
        table = _columns(("", False), ("documents", True), ("bytes", True), ("share", True))
        for row in field["values"]:
            share = row["bytes"] / field["bytes"] if field["bytes"] else 0.0
            table.add_row(
                Text("  " + brief(row["value"], 60)), f"{row['documents']:,}", f"{row['bytes']:,}", f"{share:.1%}"
            )
        console.print(table)
    if said["skipped"] or said["quarantined"]:
        _line(console, "left out by the reader, before any step", style="bold")
    of_reader = [row for row in said["rejected"] if row["step"] == "read" and row["reason"] in said["skipped"]]
    decided = {row["reason"]: row for row in of_reader}
    for kind in ("skipped", "quarantined"):
        for reason, count in sorted(said[kind].items(), key=lambda item: (-item[1], item[0])):
            words = in_words(reason)
            measured = _measured(decided[reason]) if kind == "skipped" and reason in decided else ""
            _line(console, f"  {kind}, {shown(reason)}: {count:,}{f' ({words})' if words else ''}{measured}")
    dropped = [row for row in said["rejected"] if row not in of_reader]
    if dropped:
        _line(console, "dropped, with what was measured", style="bold")
    for row in dropped:
        listed = "" if row["listed"] else " (counted, not listed)"
        measured = _measured(row)
        _line(console, f"  {shown(row['step'])}, {shown(row['reason'])}: {row['documents']:,}{listed}{measured}")
    _print_near(console, said["near_duplicates"], said["source"])
    _print_contamination(console, said["contamination"], said["source"])
    for name, measure in said["measures"].items():
        without = f"; {measure['without']:,} documents without" if measure["without"] else ""
        _line(console, f"{name}{_measured(measure) or ': of no document'}{without}")


def print_sample(console: Console, said: Json) -> None:
    """Documents, each with where it stands and why."""
    documents = said["documents"]
    _line(console, f"{said['source']}, {said['what']}: {len(documents)} of {said['of_documents']:,}", style="bold")
    for one in documents:
        if said["listed"]:
            _print_listed(console, one, said["source"])
            continue
        if "rule" in one:
            _line(console, shown(one["id"]), style="bold")
            _line(console, f"  {_reason(one)}; {one['bytes']:,} bytes, {shown(one['where'])}")
        elif "row" not in one:
            _line(console, shown(one["where"]), style="bold")
            words = in_words(one["reason"])
            _line(console, f"  {shown(one['reason'])}{f': {words}' if words else ''}")
        else:
            of = f", {one['class']}" if one["class"] else ""
            _line(console, shown(one["id"]), style="bold")
            _line(console, f"  row {one['row']:,}{of}, {one['bytes']:,} bytes, group {brief(one['group'], 70)}")
            fields = ", ".join(f"{key} {_figure(value)}" for key, value in one["meta"].items())
            if fields:
                _line(console, f"  {fields}")
        # Of what could not be opened there is no beginning.
        if "row" in one or "rule" in one or one["text"]:
            _quote(console, Text(shown(one["text"], lines=True) + ("…" if one["cut"] else "")))
        _print_reasons(console, one)


def print_trace(console: Console, said: Json) -> None:
    """The way of one token."""
    stage, document, text = said["stage"], said["document"], said["text"]
    inherited = f", inherited from {stage['inherited_from']}" if stage["inherited_from"] else ""
    _line(console, f"token {said['token']:,} of {said['variant']}, seed {said['seed']}", style="bold")
    _line(
        console,
        f"  stage {stage['name']} (mixture {stage['mixture']}, tokens {stage['first']:,} to {stage['last']:,}"
        f"{inherited})",
    )
    _line(console, f"  sequence {said['sequence']:,}, target {said['target']:,} in it")
    _line(
        console,
        f"  source {said['source']}: draw {said['draw']:,}, epoch {said['epoch']:,}, window {said['window']:,}, "
        f"place {said['stream']:,} of its tokens (all counted from 0)",
    )
    what = "the mark that ends the document" if text["mark"] else f"token {document['token']:,}"
    _line(console, f"  document {shown(document['id'])}", style="bold")
    _line(
        console,
        f"    row {document['row']:,} of the corpus; {what} of its {document['tokens']:,}; "
        f"characters {document['characters'][0]:,} to {document['characters'][1]:,}",
    )
    _print_document(console, document, said["origin"])
    if said["root"]:
        root = said["root"]
        _line(console, f"  made from {shown(root['id'])}, row {root['row']:,} of {root['source']}", style="bold")
        _print_document(console, root, root["origin"])
    _line(console, f"  edited by: {_edited(said)}")
    middle = Text("⟦" + ("end" if text["mark"] else shown(text["token"], lines=True)) + "⟧", style="bold reverse")
    quoted = Text(shown(text["before"], lines=True)) + middle + Text(shown(text["after"], lines=True))
    _quote(console, quoted)


# -- inside ------------------------------------------------------------------------------------------------------------


def _print_document(console: Console, document: Json, origin: Json) -> None:
    _line(console, f"    group {brief(document['group'], 90)}, licence {brief(str(document['license'] or 'unknown'))}")
    # Whole: half a digest or path finds no file.
    read = ", ".join(
        f"{key.replace('_', ' ')} {shown(value) if isinstance(value, str) else _figure(value)}"
        for key, value in origin.items()
        if value not in (None, "", []) and key not in ("kind", "others")
    )
    _line(console, f"    read from {origin['kind']}: {read}")
    for other in origin.get("others", []):
        _line(console, f"    or, the same documents, from {shown(str(other.get('name')))}")
    fields = ", ".join(f"{key} {_figure(value)}" for key, value in document["meta"].items())
    if fields:
        _line(console, f"    {fields}")


def _edited(said: Json) -> str:
    """Which steps edit the text of a token's document on the way from its file, and what of that is known."""
    several = len({one["source"] for one in said["edited"]}) > 1
    steps = ", ".join(shown(one["step"]) + (f" ({shown(one['source'])})" if several else "") for one in said["edited"])
    if not steps:
        return "no step; the text is as it was read"
    if said["changed"] is None:
        return f"{steps}, where there was something to change"
    differs = "differs from" if said["changed"] else "is still"
    return f"{steps}; the text {differs} that of {shown(said['root']['source'])}"


def _print_listed(console: Console, one: Json, source: str) -> None:
    """A document in a line, or in two where that is too long; copies with the one that stays."""
    if "stays" not in one:
        why = one["class"] or "kept" if "row" in one else _reason(one)
        _line(console, f"{why}  {shown(one['id'] if 'id' in one else one['where'])}")
        for hit in one.get("hits", []):
            _line(console, f"    {hit['benchmark']}, item {shown(hit['item'])}, overlap {hit['overlap']:.2f}")
        return
    stays = one["stays"]
    if stays is None:
        mark, kept = "?", "which one stays is not known"
    else:
        similarity = stays["similarity"]
        mark = f"{similarity:.3f}" if similarity is not None else f"{stays['pairs_away']} pairs"
        origin = "" if stays["source"] == source else f" ({shown(stays['source'])})"
        kept = shown(stays["id"]) + origin + _dropped(stays)
    head = f"{mark:7}  {shown(one['id'])}"
    if Text(f"{head} → {kept}").cell_len <= console.width:
        _line(console, f"{head} → {kept}")
    else:
        _line(console, head)
        _line(console, f"{'':7}→ {kept}")


def _reason(one: Json) -> str:
    value = one.get("value")
    return shown(one["reason"]) + ("" if value is None else f", {_figure(value)}")


def _print_reasons(console: Console, one: Json) -> None:
    for partner in one.get("partners", []):
        _line(console, f"  similarity {partner['similarity']:.3f} to this of {partner['source']} ({partner['class']}):")
        _line(console, f"    {shown(partner['id'])}")
        _quote(console, Text(brief(partner["text"], 200)), "    ")
    if "stays" in one and not any(_same(partner, one["stays"]) for partner in one.get("partners", [])):
        stays = one["stays"]
        if stays is None:
            _line(console, "  which one stays is not known")
        else:
            away = f", {stays['pairs_away']} pairs away" if stays.get("pairs_away", 1) > 1 else ""
            _line(console, f"  it is out for this of {stays['source']}{away}{_dropped(stays)}:")
            _line(console, f"    {shown(stays['id'])}")
    for hit in one.get("hits", []):
        _print_hit(console, hit)


def _dropped(stays: Json) -> str:
    """Of a document that is named as the one that stays and is dropped itself, that it is."""
    return ", a copy in a held-out group, dropped itself" if stays.get("class") in ("duplicate", "excluded") else ""


def _same(partner: Json, stays: Json | None) -> bool:
    return stays is not None and (partner["source"], partner["row"]) == (stays["source"], stays["row"])


def _print_hit(console: Console, hit: Json) -> None:
    _line(
        console,
        f"  {hit['benchmark']}, item {brief(hit['item'], 40)}, {hit['part']} as {hit['kind']}: overlap "
        f"{hit['overlap']:.2f}, characters {hit['start']:,} to {hit['end']:,}",
    )
    _quote(console, Text(shown(hit["excerpt"])), "    ")


def _of_root(found: Json, source: str) -> str:
    """Where what was found is not of the source itself, whose it is."""
    if found["of"] == source:
        return ""
    return f" (of the source {shown(found['of'])}, from which {shown(source)} is made, before its own steps)"


def _print_near(console: Console, found: Json | None, source: str) -> None:
    if found is None:
        return
    of = _of_root(found, source)
    _line(console, f"near-duplicates, similarity from {found['threshold']:g}{of}", style="bold")
    _line(
        console,
        f"  {found['in_components']:,} of {found['documents']:,} documents of {found['of']}: {found['within']:,} near "
        f"to one of the same source, {found['across']:,} to one of another; a pair of just that similarity is missed "
        f"with a probability of {found['missed_at_threshold']:.1%}",
    )
    if found["crowded"]:
        _line(console, f"  {crowd(found).rstrip('.')}")
    for row in found["pairs"]:
        pairs = "1 pair" if row["pairs"] == 1 else f"{row['pairs']:,} pairs"
        _line(console, f"  {' and '.join(dict.fromkeys(row['sources']))}: {pairs}")


def _print_contamination(console: Console, found: Json | None, source: str) -> None:
    if found is None:
        return
    _line(console, f"benchmark items{_of_root(found, source)}", style="bold")
    _line(
        console,
        f"  {found['contaminated']['documents']:,} of {found['documents']:,} documents of {found['of']} hold one "
        f"({found['rate']:.3%})",
    )
    for name, one in found["benchmarks"].items():
        lost = one["of"] - one["searchable"]
        unseen = f"; {lost:,} cannot be found: too short to be told from chance" if lost else ""
        _line(console, f"  {name}: {one['items']:,} of {one['of']:,} items, in {one['documents']:,} documents{unseen}")
    for hit in found.get("spans", []):
        _line(console, f"  row {hit['row']:,}, {shown(hit['document'])}", style="bold")
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


def _why(said: Json, step: str, reasons: Mapping[str, int]) -> str:
    """For what a step dropped documents, with how many."""
    if (wanted := said["kept"].get(step)) is not None:
        without = said["unmeasured"].get(step, 0)
        if isinstance(wanted, Mapping):
            kept = "..".join("" if wanted[end] is None else f"{wanted[end]:g}" for end in ("least", "most"))
            other = f"{sum(reasons.values()) - without:,} outside {kept}"
        else:
            other = f"{sum(reasons.values()) - without:,} other than {', '.join(map(brief, wanted))}"
        return other + (f", {without:,} have no {step.removeprefix('keep ')}" if without else "")
    if step == "keep" and said["part"]:
        return f"{sum(reasons.values()):,} not in this part"
    if step == "keep":
        # A record without the field is written as JSON writes nothing.
        reasons = {
            f"no {name.removesuffix('=null')}" if name.endswith("=null") else name: count
            for name, count in reasons.items()
        }
    return _listed(reasons)


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
    if points["0"] == points["1"]:
        return _figure(points["0"])
    if said.get("numbers") == 2:
        return f"{_figure(points['0'])} and {_figure(points['1'])}"
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
