"""The page: one HTML file that needs nothing but itself.

It opens from a disk without a network: styles, script, Vega and the charts' data are inside, and its
Content-Security-Policy forbids every load and every script but its own two, named by their hashes. Vega's
expressions are interpreted, not compiled, so the policy needs no `unsafe-eval`. Every text from outside is
escaped: by Jinja in HTML, as \\u escapes in the charts' JSON. The same data gives the same bytes.

The page says nothing that the data does not: it formats, orders and draws. Without JavaScript the tables
and the verdicts are all there, and the charts are links to their SVG files.
"""

from __future__ import annotations

import base64
import functools
import hashlib
import itertools
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup, escape

from pretrial.report import figures as drawing
from pretrial.report import format as text
from pretrial.report.compared import comparison_groups
from pretrial.report.data import TRAINS, Claim, ReportData
from pretrial.report.figures import Figure
from pretrial.report.summaries import (
    anchor_rows,
    by_source,
    contaminated_arms,
    contaminated_sources,
    first_clean,
    funnel_ends,
    funnel_steps,
    ledger_means,
    looked_for,
    main_licences,
    nothing_found,
    reject_reasons,
    too_short,
)

TEMPLATES = Path(__file__).parent / "templates"


def render(data: ReportData, figures: Sequence[Figure], downloads: Sequence[tuple[str, str]]) -> str:
    """The page's HTML. `downloads` are (relative path, what it holds), shown in this order."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals.update(words=text.WORDS, dash=text.DASH, trains=TRAINS)
    environment.filters.update(
        short=text.short,
        count=text.count,
        size=text.size,
        duration=text.duration,
        share=text.share,
        small_share=text.small_share,
        rate=text.rate,
        exponent=text.exponent,
        listing=text.listing,
        several=text.several,
        probability=text.probability,
        breakable=_breakable,
    )
    specs = {
        f"{figure.name}-{i}": drawing.page_spec(panel) for figure in figures for i, panel in enumerate(figure.panels)
    }
    bundle, script = _bundle(), (TEMPLATES / "report.js").read_text(encoding="utf-8")
    html = environment.get_template("report.html.j2").render(
        data=data,
        figures={figure.name: figure for figure in figures},
        cards=[card(data, claim) for claim in data.claims],
        groups=comparison_groups(data),
        interval=f"{data.interval} interval".strip().capitalize(),
        methods=list(dict.fromkeys(row["method"] for row in data.final_comparisons() if row["method"])),
        ledger=ledger_means(data),
        anchors=anchor_table(data),
        clean=clean_table(data),
        sources=funnel_ends(data),
        steps=funnel_steps(data),
        rejects=by_source(reject_reasons(data)),
        removed=by_source(data.removed),
        licences=by_source(main_licences(data)),
        contaminated=contaminated_sources(data),
        nothing_found=nothing_found(data),
        looked_for=looked_for(data),
        too_short=too_short(data),
        arms=contaminated_arms(data),
        guesses=guesses(data),
        colour=functools.partial(drawing.variant_colour, data),
        style=Markup((TEMPLATES / "report.css").read_text(encoding="utf-8") + _colours()),
        specs=Markup(json_in_html(specs)),
        bundle=Markup(bundle),
        script=Markup(script),
        policy=policy(bundle, script),
        downloads=downloads,
        shapes=drawing.SHAPES,
    )
    return html if html.endswith("\n") else html + "\n"


def _breakable(name: str) -> Markup:
    """A name, escaped, that may wrap after its arrows."""
    return Markup(escape(name).replace("→", Markup("→<wbr>")))


def json_in_html(value: object) -> str:
    """JSON that may stand inside a script element: no character in it can end the element or the script.

    Raises ValueError for numbers that are not finite.
    """
    out = json.dumps(value, ensure_ascii=False, allow_nan=False, sort_keys=True, separators=(",", ":"))
    for character in "<>&\u2028\u2029":
        out = out.replace(character, f"\\u{ord(character):04x}")
    return out


def policy(*scripts: str) -> str:
    """The Content-Security-Policy: nothing is loaded, and only these scripts run."""
    hashes = " ".join(
        f"'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'" for script in scripts
    )
    return (
        f"default-src 'none'; script-src {hashes}; style-src 'unsafe-inline'; img-src data:; "
        "connect-src 'none'; base-uri 'none'; form-action 'none'"
    )


@functools.lru_cache(maxsize=1)
def _bundle() -> str:
    """Vega, Vega-Lite and Vega-Embed as one script."""
    import vl_convert

    made: str = vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;", drawing.vega_lite_version())
    # A browser ends the element at these letters wherever they stand; in a string the backslash is void.
    return made.replace("</script", "<\\/script").replace("<!--", "<\\!--").replace("\r\n", "\n")


def _colours() -> str:
    """The palettes as CSS variables for both schemes."""

    def block(variants: Sequence[str], sources: Sequence[str]) -> str:
        return "".join(
            f"--{kind}{i}:{colour};"
            for kind, all_ in (("v", variants), ("s", sources))
            for i, colour in enumerate(all_)
        )

    light = block(drawing.VARIANTS_LIGHT, drawing.SOURCES_LIGHT)
    dark = block(drawing.VARIANTS_DARK, drawing.SOURCES_DARK)
    swatches = "".join(
        f".{kind}{i}{{--swatch:var(--{kind}{i})}}" for kind in "vs" for i in range(len(drawing.VARIANTS_LIGHT))
    )
    return (
        f":root{{{light}}}\n"
        f"@media screen and (prefers-color-scheme:dark){{:root:not([data-scheme=light]){{{dark}}}}}\n"
        f"@media screen{{:root[data-scheme=dark]{{{dark}}}}}\n{swatches}\n"
    )


# Verdicts


@dataclass(frozen=True)
class Card:
    """A claim in plain words, with its picture."""

    claim: Claim
    headline: str
    between: str
    companions: str
    sure: str
    late: str
    """Why it counts as exploratory; "" for a claim registered in time."""
    picture: Markup


def card(data: ReportData, claim: Claim) -> Card:
    """A claim's estimate, interval and certainty as sentences."""
    unit = data.definition(claim["metric"])["unit"]
    named = text.unit_name(unit) or claim["metric"]
    estimate, low, high = claim["estimate"], claim["low"], claim["high"]
    places = text.decimals(unit, low, high)
    late = "" if claim["registered"] else claim["registration"] or "not registered before the results"
    if estimate is None or not math.isfinite(estimate):
        return Card(claim, "No estimate", "", "", "", late, Markup(""))
    headline = f"{_amount(estimate, unit, places)} {named} {_more(estimate)} than {claim['against']}"
    if estimate == 0:
        headline = f"No difference in {claim['metric']} from {claim['against']}"
    if low is not None and high is not None and (low > 0 or high < 0):
        headline += ", which is " + ("better" if (estimate > 0) == claim["higher_is_better"] else "worse")
    if low is None or high is None:
        between = "No interval"
    elif low < 0 < high:
        between = (
            f"{claim['level']:.0%} interval: from {_amount(low, unit, places)} less to "
            f"{_amount(high, unit, places)} more, zero included"
        )
    else:
        near, far = sorted((low, high), key=abs)
        between = (
            f"{claim['level']:.0%} interval: between {_amount(near, unit, places)} and "
            f"{_amount(far, unit, places)} {_more(far)}"
        )
    parts = []
    if claim["p_adjusted"] is not None:
        family = "" if claim["registered"] else " over the late claims"
        parts.append(f"one-sided p {text.equals(claim['p_adjusted'])} after Holm{family}")
    seeds, items = claim["n_seeds"], claim["n_items"]
    parts.append(f"{seeds} seed{'s' * (seeds != 1)} × {items:,} item{'s' * (items != 1)}")
    return Card(claim, headline, between, _companions(claim, unit), "; ".join(parts), late, _picture(data, claim))


def _companions(claim: Claim, unit: str) -> str:
    """What the bootstrap and the sign flips say of the same comparison."""
    said = []
    if claim["bootstrap_low"] is not None and claim["bootstrap_high"] is not None:
        between = text.interval(claim["bootstrap_low"], claim["bootstrap_high"], unit)
        said.append(f"bootstrap over seeds and items {between}")
    if claim["sign_flip_p"] is not None:
        said.append(f"flipping the signs of seeds p {text.equals(claim['sign_flip_p'])}")
    return f"Beside it: {'; '.join(said)}" if said else ""


def _amount(value: float, unit: str, places: int) -> str:
    return text.difference(abs(value), unit, places).lstrip("+")


def _more(value: float) -> str:
    return "more" if value > 0 else "less"


def _picture(data: ReportData, claim: Claim) -> Markup:
    """The interval on a line with zero and the region that the claim asks for. No text from outside in it."""
    estimate, low, high, margin = claim["estimate"], claim["low"], claim["high"], claim["margin"]
    if estimate is None or low is None or high is None:
        return Markup("")
    at = [0.0, estimate, low, high, *([margin, -margin] if margin is not None and margin > 0 else [])]
    if not all(map(math.isfinite, at)):
        return Markup("")
    reach = max(at) - min(at) or 1.0
    left, right = min(at) - 0.14 * reach, max(at) + 0.14 * reach

    def x(value: float) -> str:
        return f"{320 * (min(max(value, left), right) - left) / (right - left):.1f}"

    sign = 1 if claim["higher_is_better"] else -1
    edge = margin or 0.0
    if margin is None:
        region = None
    elif claim["kind"] == "equals":
        region = (-edge, edge)
    else:
        bound = sign * (edge if claim["kind"] == "beats" else -edge)
        region = (bound, right) if sign > 0 else (left, bound)
    shapes = []
    if region:
        wide = float(x(region[1])) - float(x(region[0]))
        shapes.append(f'<rect class="asked" x="{x(region[0])}" y="4" width="{wide:.1f}" height="28" rx="2"/>')
    shapes += [
        f'<line class="zero" x1="{x(0)}" x2="{x(0)}" y1="0" y2="36"/>',
        f'<line class="interval" x1="{x(low)}" x2="{x(high)}" y1="18" y2="18"/>',
        f'<circle class="estimate" cx="{x(estimate)}" cy="18" r="5.5"/>',
    ]
    unit = data.definition(claim["metric"])["unit"]
    anchor = "start" if float(x(0)) < 30 else "end" if float(x(0)) > 290 else "middle"
    shapes.append(f'<text x="{x(0)}" y="50" text-anchor="{anchor}">0</text>')
    if region and edge and abs(float(x(edge)) - float(x(0))) > 34:
        for value in (edge, -edge) if claim["kind"] == "equals" else (region[0] if sign > 0 else region[1],):
            shapes.append(
                f'<text x="{x(value)}" y="50" text-anchor="middle">'
                f"{text.difference(value, unit, text.decimals(unit, low, high))}</text>"
            )
    return Markup(
        '<svg class="interval-picture" viewBox="0 0 320 54" role="img" aria-label="The interval on a '
        f'line; the shaded part is what the claim asks for.">{"".join(shapes)}</svg>'
    )


# Tables


def anchor_table(data: ReportData) -> list[dict[str, Any]]:
    """Tasks with anchors as texts: each with chance, zstd, and every variant's own value beside its 3-gram's."""
    made = []
    for (category, task, metric), rows in itertools.groupby(
        anchor_rows(data), key=lambda row: (row["category"], row["task"], row["metric"])
    ):
        unit = data.definition(metric)["unit"]
        variants = list(rows)
        made.append(
            {
                "category": category,
                "task": task,
                "metric": metric,
                "chance": text.value(variants[0]["chance"], unit),
                "zstd": text.value(variants[0]["zstd"], unit),
                "variants": [(text.value(row["value"], unit), text.value(row["three_gram"], unit)) for row in variants],
            }
        )
    return made


def clean_table(data: ReportData) -> list[dict[str, Any]]:
    """Benchmarks on clean items as texts: of each its first metric, by variant."""
    made = []
    for (task, metric), rows in itertools.groupby(first_clean(data), key=lambda row: (row["task"], row["metric"])):
        unit = data.definition(metric)["unit"]
        points = " points" if unit == "share" else ""
        shown = [
            {
                "variant": row["variant"],
                "value": text.value(row["value"], unit),
                "clean": text.value(row["clean_value"], unit),
                "difference": text.difference(row["difference"], unit) + points * (row["difference"] is not None),
                "n": text.count(row["n"]),
                "n_clean": text.count(row["n_clean"]),
                "n_unfindable": text.count(row["n_unfindable"]),
                "against": text.difference(row["against"], unit, places) + points * (row["against"] is not None),
                "interval": text.interval(row["low"], row["high"], unit) if row["low"] is not None else "",
            }
            for row in rows
            for places in (text.decimals(unit, row["low"], row["high"]),)
        ]
        made.append({"task": task, "metric": metric, "rows": shown})
    return made


def guesses(data: ReportData) -> dict[str, str]:
    """Chance levels of each metric in words: "cloze 25.0%", or by task where a category's tasks differ."""
    levels: dict[str, dict[str, dict[str, float]]] = {}
    for (category, task, metric), level in data.chances().items():
        if task != "mean":
            levels.setdefault(metric, {}).setdefault(category, {})[task] = level
    said = {}
    for metric, categories in levels.items():
        unit = data.definition(metric)["unit"]
        parts = []
        for category, tasks in categories.items():
            if len(tasks) > 1 and len(set(tasks.values())) == 1:
                parts.append(f"{category} {text.value(next(iter(tasks.values())), unit)}")
            else:
                parts += [f"{task} {text.value(level, unit)}" for task, level in tasks.items()]
        said[metric] = ", ".join(parts)
    return said
