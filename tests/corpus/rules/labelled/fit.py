"""Fits the weights of `code-out`: a linear-chain conditional random field over the lines of the fitting half.

Maximises the likelihood of the lines' labels given the features that the rule itself computes, with a quadratic
penalty; two states, costs of change by what stands at the border, as the rule decodes. Pages with marks are used twice:
as they are (what their marks show is gone, the rest is prose) and as plain text in three forms; pages of prose too,
once with colons put before paragraphs, since a colon announces more than code. Only the fitting half is read.

`evidence` and the penalty are chosen by cross-validation over documents within that half (`--folds`): on the pages that
the weights were fitted on, no prose is lost at any value, which says nothing.

    python tests/corpus/rules/labelled/fit.py --folds      # how each value of `evidence` fares on pages held out
    python tests/corpus/rules/labelled/fit.py              # fits on the whole half, writes the constants of model.py
"""

from __future__ import annotations

import argparse
import hashlib
import re
import sys
from collections.abc import Callable
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).parents[4] / "tools"))
sys.path.insert(0, str(Path(__file__).parent))

from labelled_pages.forms import unmarked
from score import Count, Page, count, pages

from pretrial.corpus.rules.code_out import CodeOut, model
from pretrial.corpus.rules.code_out.features import measure

FOLDS = 5
EVIDENCE = (0.0, 1.0, 1.5, 2.0, 2.5, 3.0, 4.0, 6.0)
PENALTY = 2.0
PROSE_WEIGHT = 2.0
Sequence = tuple[list[list[float]], list[float], list[int], list[int], float]


def sequences(text: str, labels: str, weight: float) -> list[Sequence]:
    """Runs of lines that no mark takes: features, fixed scores, borders, labels, weight."""
    page, _, _ = CodeOut().marked(text)
    found: list[Sequence] = []
    rows: list[list[float]] = []
    fixed: list[float] = []
    borders: list[int] = []
    states: list[int] = []

    def close() -> None:
        if rows:
            found.append((rows[:], fixed[:], borders[:], states[:], weight))
            for each in (rows, fixed, borders, states):
                each.clear()

    above = -1
    for at, label in enumerate(labels):
        if page.blank[at] and not page.kinds[at]:
            continue
        if page.kinds[at] or label not in "pc":
            close()
            continue
        features = measure(page, at)
        rows.append(features if features is not None else [0.0] * len(model.WEIGHTS))
        fixed.append(model.CLEAR if features is None else 0.0)
        borders.append(page.border(above, at) if len(rows) > 1 else 2)
        states.append(int(label == "c"))
        above = at
    close()
    return found


def introduced(text: str) -> str:
    """Prose with a colon at the end of every second paragraph, and what follows every fourth four columns deeper."""
    paragraphs = re.split(r"\n[ \t]*\n+", text)
    for at in range(0, len(paragraphs) - 1, 2):
        paragraphs[at] = paragraphs[at].rstrip().rstrip(".,;:!?\"'”’") + ":"
        if at % 4 == 0:
            paragraphs[at + 1] = "\n".join("    " + line for line in paragraphs[at + 1].split("\n"))
    return "\n\n".join(paragraphs)


def training(some: list[Page]) -> list[Sequence]:
    """The sequences of these pages."""
    found: list[Sequence] = []
    for page in some:
        found += sequences(page.text, page.labels, PROSE_WEIGHT if page.pure else 1.0)
        if page.pure:
            text = introduced(page.text)
            labels = "".join("p" if line.strip() else "-" for line in text.split("\n"))
            found += sequences(text, labels, 1.0)
        if ("m" in page.labels and not page.kind.startswith(("html", "markdown-html"))) or page.kind in (
            "rest",
            "docstring",
        ):
            for form in ("indented", "flush", "dense"):
                found += sequences(*unmarked(page.text, page.labels, form), 0.5)
    return found


def fit(data: list[Sequence], penalty: float) -> model.Model:
    """The constants that fit best."""
    torch.manual_seed(0)
    torch.set_num_threads(1)
    size, length, width = len(data), max(len(one[0]) for one in data), len(model.WEIGHTS)
    features = torch.zeros(size, length, width, dtype=torch.float64)
    fixed = torch.zeros(size, length, dtype=torch.float64)
    border = torch.full((size, length), 2, dtype=torch.long)
    state = torch.zeros(size, length, dtype=torch.long)
    mask = torch.zeros(size, length, dtype=torch.bool)
    weight = torch.tensor([one[4] for one in data], dtype=torch.float64)
    for at, (rows, constant, borders, states, _) in enumerate(data):
        features[at, : len(rows)] = torch.tensor(rows, dtype=torch.float64)
        fixed[at, : len(rows)] = torch.tensor(constant, dtype=torch.float64)
        border[at, : len(rows)] = torch.tensor(borders)
        state[at, : len(rows)] = torch.tensor(states)
        mask[at, : len(rows)] = True
    vector = torch.zeros(width + 6, dtype=torch.float64, requires_grad=True)
    with torch.no_grad():
        vector[width:] = torch.tensor([-3.0, -2.0, -1.0, -3.0, -2.0, -1.0])

    def loss() -> torch.Tensor:
        score = features @ vector[:width] + fixed
        enter, leave = vector[width : width + 3][border], vector[width + 3 :][border]
        prose, code = torch.zeros(size, dtype=torch.float64), torch.full((size,), -1e9, dtype=torch.float64)
        gold = torch.zeros(size, dtype=torch.float64)
        before = torch.zeros(size, dtype=torch.long)
        for at in range(length):
            on = mask[:, at]
            to_code = torch.logaddexp(code, prose + enter[:, at]) + score[:, at]
            to_prose = torch.logaddexp(prose, code + leave[:, at])
            code, prose = torch.where(on, to_code, code), torch.where(on, to_prose, prose)
            now = state[:, at]
            step = now * (score[:, at] + (1 - before) * enter[:, at]) + (1 - now) * before * leave[:, at]
            gold = gold + torch.where(on, step, torch.zeros(()))
            before = torch.where(on, now, before)
        return (weight * (torch.logaddexp(prose, code) - gold)).sum() + penalty / 2 * (vector[1:width] ** 2).sum()

    optimiser = torch.optim.LBFGS([vector], max_iter=300, tolerance_change=1e-7, line_search_fn="strong_wolfe")

    def closure() -> torch.Tensor:
        optimiser.zero_grad()
        value = loss()
        value.backward()
        return value

    optimiser.step(closure)
    print(f"# {size} sequences, {int(mask.sum())} lines, loss {float(loss().detach()):.1f}")
    weights = tuple(round(value, 2) for value in vector.detach().tolist())
    return model.Model(weights[:width], weights[width : width + 3], weights[width + 3 :])


def fold(page: Page) -> int:
    """Which fold of the fitting half a page belongs to, by the hash of its document."""
    document = page.id.partition("/")[2].partition("#")[0]
    return hashlib.sha256(f"fold/{document}".encode()).digest()[0] % FOLDS


def taken(page: Page, fitted: model.Model, evidence: float) -> Count:
    """What the rule with these constants takes of a page."""
    rule = type("Trial", (CodeOut,), {"model": fitted})(evidence=evidence)
    return count(page, [(start, end) for start, end, _ in rule.spans(page.text)])


def table(found: Callable[[Page, float], Count], some: list[Page]) -> None:
    """Print precision, recall and what prose loses for each value of `evidence`."""
    for evidence in EVIDENCE:
        every, pure = Count(), Count()
        for page in some:
            one = found(page, evidence)
            every += one
            if page.pure:
                pure += one
        print(
            f"evidence {evidence}: precision {every.precision:.4f}, recall {every.recall:.4f}, "
            f"prose lost {every.loss:.3%}, on pages of prose {pure.loss:.3%}"
        )


def write(fitted: model.Model) -> None:
    """Put the constants into the rule's source."""
    file = Path(model.__file__)
    text = file.read_text(encoding="utf-8")
    for name, weight in zip(model.WEIGHTS, fitted.weights, strict=True):
        text = re.sub(rf'(?m)^    "{name}": [-\d.]+,', f'    "{name}": {weight},', text)
    for name in ("enter", "leave"):
        text = re.sub(rf"(?m)^    {name}=\([^)]*\),", f"    {name}={getattr(fitted, name)},", text)
    file.write_text(text, encoding="utf-8")


def main() -> None:
    """Fit and write the constants, or cross-validate."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--folds", action="store_true", help="cross-validate, and write nothing")
    parser.add_argument("--penalty", type=float, default=PENALTY, help="of the squared weights")
    options = parser.parse_args()
    some = pages("fit")
    if options.folds:
        models = [
            fit(training([page for page in some if fold(page) != number]), options.penalty) for number in range(FOLDS)
        ]
        table(lambda page, evidence: taken(page, models[fold(page)], evidence), some)
        return
    fitted = fit(training(some), options.penalty)
    write(fitted)
    table(lambda page, evidence: taken(page, fitted, evidence), some)


if __name__ == "__main__":
    main()
