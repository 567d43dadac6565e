"""Which arms may train on other benchmark items than another arm, before anything is trained.

Guarantees: the documents counted are those that the selection leaves in training, all of each source that an arm draws
on; the items are those that would be evaluated; nothing is said where a scan or the selection was not made yet.
Does not: look for items (`pretrial.corpus.contamination`) or know scores; the report says it again beside them.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from pretrial.benchmarks.items import TASKS
from pretrial.inspecting.corpora import SELECTION, Corpora

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt


def unequal(corpora: Corpora) -> list[str]:
    """A sentence for each benchmark of whose evaluated items the arms may train on different ones."""
    study, graph = corpora.study, corpora.graph
    asked = [task for task in study.evaluate.tasks if task in TASKS]
    selected = corpora.find(SELECTION)
    # Where documents with items leave training, no arm has any.
    if study.decontaminate or not asked or selected is None:
        return []
    from pretrial.corpus.contamination import clean
    from pretrial.corpus.contamination.benchmark_texts import item_ids
    from pretrial.corpus.contamination.hits import read_hits
    from pretrial.corpus.iterate import TRAIN, load_mask

    scans = {str(step.about["source"]): step.name for step in graph.steps.values() if step.kind == "contamination"}
    made = {source: found for source, name in scans.items() if (found := corpora.find(name)) is not None}
    hits = {source: read_hits(found) for source, found in made.items()}
    sizes = {source: found.facts["documents"] for source, found in made.items()}
    had: dict[str, clean.Exposure] = {}
    for variant, course in graph.courses.items():
        drawn = course.draws(course.end, study.context)
        documents = clean.used(
            {source: graph.scanned_as(source) for source, draws in drawn.items() if draws},
            sizes,
            lambda source: load_mask(selected, source),
            lambda source: _made_of(corpora, source),
            (TRAIN,),
        )
        if documents is not None:
            had[variant] = clean.exposure(hits, documents)
    if not any(exposure.items for exposure in had.values()):
        return []
    data = Path(graph.steps["benchmark texts"].settings["data"])
    evaluated = {name: item_ids(name, data, study.evaluate.items) for name in asked}
    return [clean.in_words(one) for one in clean.unequal(had, evaluated)]


def _made_of(corpora: Corpora, source: str) -> npt.NDArray[np.int64] | None:
    """Of a derived source, which document of its root each was made of."""
    import numpy as np

    corpus = corpora.find(f"corpus {source}")
    if corpus is None:
        return None
    return np.concatenate(
        [np.zeros(0, np.int64), *(np.load(corpus.file(shard["roots"])) for shard in corpus.facts["shards"])]
    )
