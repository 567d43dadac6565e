"""What the command line prints: plans, outcomes, status and explanations, as rich tables or plain text."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table
from rich.text import Text
from rich.tree import Tree

from pretrial.execute.progress import duration
from pretrial.plan.cost import in_bytes

if TYPE_CHECKING:
    from pretrial.trials import Outcome, Trial

Json = dict[str, Any]


def print_plan(console: Console, plan: Json, *, resolved: bool) -> None:
    """A plan for people."""
    console.print(Text(plan["study"], style="bold"))
    console.print(Text(plan["question"]))
    if resolved:
        _resolved(console, plan["resolved"])
    _sharing(console, plan)
    _stages(console, plan)
    _epochs(console, plan)
    _comparisons(console, plan)
    _cost(console, plan)
    for warning in plan["warnings"]:
        console.print(Text(f"warning: {warning}", style="yellow"))


def _sharing(console: Console, plan: Json) -> None:
    tree = Tree(Text("training, one seed (a shared stretch is trained once)", style="bold"), guide_style="dim")
    nodes: dict[str, Any] = {}
    for row in sorted(plan["sharing"], key=lambda row: row["to"]):
        above = nodes.get(row["parent"], tree)
        names = ", ".join(row["variants"])
        shared = f"  shared by {len(row['variants'])}" if len(row["variants"]) > 1 else ""
        label = f"{amount(row['from'])} → {amount(row['to'])} tokens: {names}{shared}"
        nodes[row["step"]] = above.add(Text(label))
    console.print(tree)


def _stages(console: Console, plan: Json) -> None:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name, right in (
        ("variant", False),
        ("stage", False),
        ("mixture", False),
        ("tokens", True),
        ("steps", True),
        ("warm-up", True),
        ("learning rate", False),
    ):
        table.add_column(name, justify="right" if right else "left")
    for variant in plan["variants"]:
        before: float | None = None
        for index, stage in enumerate(variant["stages"]):
            rate = f"{stage['lr_first']:.2g} → {stage['lr_last']:.2g}"
            if before is not None:
                rate = f"({before:.2g} |) {rate}"
            before = stage["lr_last"]
            kind = " (cooldown)" if stage["cooldown"] else ""
            kind += f" (of {stage['inherited_from']})" if stage["inherited_from"] else ""
            rounded = "" if stage["asked_tokens"] == stage["tokens"] else f" of {stage['asked_tokens']:,} asked"
            table.add_row(
                Text(variant["variant"] if index == 0 else ""),
                Text(stage["stage"] + kind),
                Text(stage["mixture"]),
                Text(f"{stage['tokens']:,}{rounded}"),
                f"{stage['steps']:,}",
                amount(stage["warmup_tokens"]) if stage["warmup_tokens"] else "",
                rate,
            )
    console.print(table)
    for line in (
        "learning rate: (last step before the hand-over |) first step → last step of the stage",
        "tokens, steps, rates and shares: declared, since they follow from the study file exactly",
    ):
        console.print(Text(line), style="dim")
    console.print(Text("shares, as asked → as planned in whole sequences", style="bold"))
    for line in _shares(plan):
        for part in textwrap.wrap(line, console.width, initial_indent="  ", subsequent_indent="    "):
            console.print(Text(part))


def _shares(plan: Json) -> Iterator[str]:
    """What each mixture comes to: once, or once for each way in which stages of it come out."""
    ways: dict[str, dict[str, list[str]]] = {}
    for variant in plan["variants"]:
        for stage in variant["stages"]:
            shares = ", ".join(
                f"{source} {share}" + (f" → {planned}" if planned != share else "")
                for source, share in stage["requested"].items()
                for planned in [_percent(stage["realised"][source])]
            )
            place = f"stage {stage['stage']} of {variant['variant']}"
            ways.setdefault(stage["mixture"], {}).setdefault(shares, []).append(place)
    for mixture, found in ways.items():
        for shares, stages in found.items():
            yield f"{mixture}: {shares}" if len(found) == 1 else f"{mixture} ({', '.join(stages)}): {shares}"


def _percent(share: float) -> str:
    """A share to a hundredth of a per cent, without zeros that say nothing."""
    return f"{100 * share:.2f}".rstrip("0").rstrip(".") + "%"


def _epochs(console: Console, plan: Json) -> None:
    basis = {source: figure["basis"] for variant in plan["variants"] for source, figure in variant["epochs"].items()}
    if not basis:
        console.print(Text("epochs per source: unknown until the corpora have been read", style="dim"))
        return
    console.print(Text("epochs per source, after each stage", style="bold"))
    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column("")
    for variant in plan["variants"]:
        table.add_column(Text(variant["variant"]))
    table.add_column("")
    mixtures = plan["resolved"]["mixtures"]
    drawn = dict.fromkeys(s for v in plan["variants"] for stage in v["stages"] for s in mixtures[stage["mixture"]])
    for source in drawn:
        cells = []
        for variant in plan["variants"]:
            passes = [stage["epochs"].get(source) for stage in variant["stages"]]
            cells.append(" → ".join("–" if one is None else f"{one['value']:.2f}" for one in passes))
        known = basis.get(source)
        row = cells if known else [""] * len(cells)
        table.add_row(Text(f"  {source}"), *(Text(cell) for cell in row), Text(known or "unknown until it was read"))
    console.print(table)


def _comparisons(console: Console, plan: Json) -> None:
    console.print(Text("comparisons", style="bold"))
    for row in plan["comparisons"]:
        if row["holds"]:
            line = f"{row['variant']} against {row['baseline']}: matched at equal {', '.join(row['holds'])}"
            console.print(Text(f"  {line}"))
            continue
        console.print(Text(f"  {row['variant']} against {row['baseline']}: descriptive only"))
        for reason in row["why_not"]:
            console.print(Text(f"    {reason}", style="dim"))
    for claim in plan["claims"]:
        console.print(Text(f"  claim: {claim}"))
        if claim in plan["untestable"]:
            console.print(Text(f"    cannot be tested: {plan['untestable'][claim]}", style="yellow"))


def _cost(console: Console, plan: Json) -> None:
    cost, basis = plan["cost"], plan["basis"]
    console.print(Text("cost", style="bold"))
    saved = cost["tokens_without_sharing"] - cost["tokens_trained"]
    console.print(
        f"  {cost['tokens_trained']:,} tokens trained ({basis['tokens_trained']}; "
        f"{saved:,} fewer than without shared prefixes), {cost['flops']:.2e} FLOPs ({basis['flops']})"
    )
    speed = cost["train_tokens_per_second"]
    left = [
        f"{group} {duration(said['value'])} ({said['basis']})"
        for group, said in cost["seconds_to_run"].items()
        if said["value"]
    ]
    console.print(f"  time to run: {', '.join(left) or 'none, all is there'}")
    console.print(f"  training speed: {speed['value']:,.0f} tokens/s ({speed['basis']})")
    memory, disk, write = cost["memory_bytes"], cost["disk_bytes"], cost["disk_bytes_to_write"]
    free = cost["disk_bytes_free"]
    console.print(
        f"  memory {in_bytes(memory['value'])} ({memory['basis']}), disk {in_bytes(disk['value'])}, "
        f"{in_bytes(write['value'])} of it to be written ({disk['basis']})"
        + (f"; {in_bytes(free['value'])} free ({free['basis']})" if free is not None else "")
    )
    record = plan["record"]
    if record is None:
        console.print("  execution record: chosen at the first run", style="dim")
    else:
        console.print(Text("  execution record: " + _line(record)), style="dim")
    steps = ", ".join(f"{kind} {n['cached']}/{n['all']}" for kind, n in plan["steps"].items())
    console.print(Text(f"  cached: {steps}"), style="dim")


def _resolved(console: Console, resolved: Json) -> None:
    import io

    from ruamel.yaml import YAML

    text = io.StringIO()
    yaml = YAML()
    yaml.width = 110
    yaml.dump(resolved, text)
    console.print(Text("the study with every default", style="bold"))
    console.print(Text(text.getvalue().rstrip()))


def print_outcome(console: Console, trial: Trial, outcome: Outcome, *, part: bool = False) -> None:
    """What a run came to: the comparison table, what it shows, where the report is.

    `part`: only some variants or seeds were asked for.
    """
    from pretrial.report.data import ReportData
    from pretrial.report.terminal import comparison_lines

    try:
        data = ReportData.from_json(json.loads(outcome.report.with_name("report.json").read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        console.print("The report's data cannot be read; `pretrial report` writes it again.")
    else:
        for line in comparison_lines(data, console.width):
            console.print(Text(line), soft_wrap=True)
    for name, error in outcome.failures.items():
        console.print(Text(f"failed: {name}: {error}", style="bold red"))
    if outcome.new:
        console.print(f"{outcome.made} steps in {duration(outcome.seconds)}.")
    else:
        done = f"what was asked of {trial.study.name} is done" if part else f"{trial.study.name} is finished"
        console.print(Text(f"Nothing to do: {done} ({duration(outcome.seconds)})."))
    console.print(Text(f"Report: {outcome.report}"), soft_wrap=True)


def print_status(console: Console, status: Json) -> None:
    """What is done and how large the store is."""
    console.print(Text(status["study"], style="bold"))
    for group, count in status["steps"].items():
        console.print(f"  {group}: {count['done']} of {count['all']} steps")
    if status["accepted"]:
        console.print(
            f"  {len(status['accepted'])} of them are those of another execution record, which the last run accepted"
        )
    for name, error in status["failed"].items():
        console.print(Text(f"  failed: {name}: {error}", style="red"))
    console.print(Text(f"report: {status['report'] or 'not written yet'}"), soft_wrap=True)
    total = f"{status['store_total_bytes'] / 1e6:,.1f} MB in all"
    console.print(Text(f"store: {status['store']}, {total}"), soft_wrap=True)
    for kind, size in sorted(status["store_bytes"].items(), key=lambda item: -item[1]):
        console.print(f"  {kind}: {size / 1e6:,.1f} MB")
    beside = {name: size / 1e6 for name, size in status["beside_bytes"].items()}
    console.print(f"  compiled kernels: {beside['compiled']:,.1f} MB; unfinished work: {beside['work']:,.1f} MB")
    console.print(
        f"  may be freed: {status['not_in_this_study_bytes'] / 1e6:,.1f} MB that this study does not use "
        f"(other studies may), {beside['quarantine']:,.1f} MB in quarantine"
    )
    for line in status["damaged"]:
        console.print(Text(f"  damaged: {line}", style="red"), soft_wrap=True)
    if status["verified"] and not status["damaged"]:
        console.print("  every hash is right")


def print_explanation(console: Console, said: Json) -> None:
    """Why steps would run."""
    if said["first_run"]:
        console.print(f"Never run here: {len(said['missing'])} steps would run.")
        return
    if not said["missing"]:
        console.print("Everything is there; nothing would run.")
    for row in said["study"]:
        console.print(Text(f"{row['where']} {row['field']}: {_short(row['before'])} → {_short(row['now'])}"))
    for row in said["record"]:
        console.print(Text(f"execution record, {row['field']}: {_short(row['before'])} → {_short(row['now'])}"))
    reasons: dict[str, list[str]] = {}
    for step in said["steps"]:
        if [row["field"] for row in step["differs"]] == ["(new step)"]:
            why = "the last run did not ask for them"
        elif step["differs"]:
            why = "; ".join(f"{r['field']}: {_short(r['before'])} → {_short(r['now'])}" for r in step["differs"])
        elif step["because_of"]:
            why = "an input of theirs is made anew"
        else:
            why = "their output is not in the store"
        reasons.setdefault(why, []).append(step["step"])
    for why, steps in reasons.items():
        more = f" and {len(steps) - 2} more" if len(steps) > 2 else ""
        count = "1 step runs" if len(steps) == 1 else f"{len(steps)} steps run"
        console.print(Text(f"  {count}, since {why}"))
        console.print(Text(f"    {', '.join(steps[:2])}{more}", style="dim"))


def amount(count: float) -> str:
    """Tokens in short: 150K, 1.05M."""
    for unit, size in (("B", 1e9), ("M", 1e6), ("K", 1e3)):
        if count >= size:
            return f"{count / size:.3g}{unit}"
    return f"{count:.0f}"


def _line(values: Mapping[str, Any]) -> str:
    return ", ".join(f"{key} {value}" for key, value in values.items())


def _short(value: Any) -> str:
    text = repr(value) if not isinstance(value, str) else value
    return text if len(text) <= 60 else text[:57] + "…"
