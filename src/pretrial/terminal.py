"""What the command line prints: plans, outcomes, status and explanations, as rich tables or plain text."""

from __future__ import annotations

import json
from collections.abc import Mapping
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table
from rich.text import Text
from rich.tree import Tree

from pretrial.execute.progress import duration

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
        ("shares off by", True),
    ):
        table.add_column(name, justify="right" if right else "left")
    for variant in plan["variants"]:
        before: float | None = None
        for index, stage in enumerate(variant["stages"]):
            off = max(abs(x - float(_share(stage["requested"][s]))) for s, x in stage["realised"].items())
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
                f"{off:.2%}",
            )
    console.print(table)
    console.print(
        Text("learning rate: (last step before the hand-over |) first step → last step of the stage"), style="dim"
    )
    console.print(Text("mixtures (requested shares)", style="bold"))
    for name, shares in plan["resolved"]["mixtures"].items():
        console.print(Text(f"  {name}: " + ", ".join(f"{source} {share}" for source, share in shares.items())))


def _share(text: str) -> Fraction:
    return Fraction(text.removesuffix("%")) / 100 if text.endswith("%") else Fraction(text)


def _epochs(console: Console, plan: Json) -> None:
    said = []
    for variant in plan["variants"]:
        parts = [f"{s} {e['value']:.2f}" for s, e in variant["epochs"].items()]
        if parts:
            basis = next(iter(variant["epochs"].values()))["basis"]
            said.append(f"{variant['variant']}: {', '.join(parts)} ({basis})")
    if said:
        console.print(Text("epochs per source", style="bold"))
        for line in said:
            console.print(Text(f"  {line}"))
    else:
        console.print(Text("epochs per source: known once the corpora have been read", style="dim"))


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


def _cost(console: Console, plan: Json) -> None:
    cost = plan["cost"]
    console.print(Text("cost", style="bold"))
    saved = cost["tokens_without_sharing"] - cost["tokens_trained"]
    console.print(
        f"  {cost['tokens_trained']:,} tokens trained"
        f" ({saved:,} fewer than without shared prefixes), {cost['flops']:.2e} FLOPs"
    )
    speed = cost["train_tokens_per_second"]
    left = [
        f"{group} {duration(said['value'])} ({said['basis']})"
        for group, said in cost["seconds_to_run"].items()
        if said["value"]
    ]
    console.print(f"  time to run: {', '.join(left) or 'none, all is there'}")
    console.print(f"  training speed: {speed['value']:,.0f} tokens/s ({speed['basis']})")
    memory, disk = cost["memory_bytes"], cost["disk_bytes"]
    console.print(
        f"  memory {memory['value'] / 1e9:.1f} GB ({memory['basis']}), "
        f"disk {disk['value'] / 1e9:.1f} GB ({disk['basis']})"
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


def print_outcome(console: Console, trial: Trial, outcome: Outcome) -> None:
    """What a run came to: the comparison table, what it shows, where the report is."""
    from pretrial.report.data import ReportData
    from pretrial.report.terminal import comparison_lines

    data = ReportData.from_json(json.loads(outcome.report.with_name("report.json").read_text(encoding="utf-8")))
    for line in comparison_lines(data, console.width):
        console.print(Text(line), soft_wrap=True)
    for name, error in outcome.failures.items():
        console.print(Text(f"failed: {name}: {error}", style="bold red"))
    if not outcome.new:
        console.print(f"Nothing to do: {trial.study.name} is finished ({duration(outcome.seconds)}).")
    else:
        console.print(f"{outcome.made} steps in {duration(outcome.seconds)}.")
    console.print(Text(f"Report: {outcome.report}"), soft_wrap=True)


def print_status(console: Console, status: Json) -> None:
    """What is done and how large the store is."""
    console.print(Text(status["study"], style="bold"))
    for group, count in status["steps"].items():
        console.print(f"  {group}: {count['done']} of {count['all']} steps")
    for name, error in status["failed"].items():
        console.print(Text(f"  failed: {name}: {error}", style="red"))
    console.print(Text(f"report: {status['report'] or 'not written yet'}"), soft_wrap=True)
    console.print(Text(f"store: {status['store']}"), soft_wrap=True)
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
