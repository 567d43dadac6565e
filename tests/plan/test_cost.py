"""What a study costs, and where each figure comes from."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pretrial.model.spec import flops_per_token
from pretrial.plan.cost import Speeds, disk_free, forecast, measure, speed_key
from pretrial.plan.graph import Graph
from pretrial.store.artefacts import Store
from pretrial.train.spec import checkpoint_bytes, peak_memory

BATCH = 1024
Plan = Callable[..., Graph]


@pytest.fixture
def speeds(tmp_path: Path) -> Speeds:
    return Speeds(Store(tmp_path / "store"))


def test_tokens_and_operations_follow_from_the_plan(plan: Plan, speeds: Speeds) -> None:
    graph = plan()
    found = forecast(graph, speeds)
    assert found.tokens_trained == 2 * 5 * 10 * BATCH
    assert found.tokens_unshared == 2 * 3 * 20 * BATCH
    assert found.flops_per_token == flops_per_token(graph.study.model, 300, 64)
    assert set(found.seconds) == set(graph.steps)


def test_before_any_measurement_everything_is_estimated(plan: Plan, speeds: Speeds) -> None:
    found = forecast(plan(), speeds)
    assert found.train_speed.basis == found.forward_speed.basis == "estimated"
    assert {figure.basis for figure in found.seconds.values()} == {"estimated"}


def test_a_measured_speed_is_remembered_for_its_record_alone(
    plan: Plan, speeds: Speeds, record: dict[str, Any], tmp_path: Path
) -> None:
    graph = plan()
    name = graph.checkpoints["text→text", 1, 10 * BATCH]
    measure(graph.steps[name], 2.0, graph, speeds)
    speeds.save()
    again = Speeds(Store(tmp_path / "store"))
    found = forecast(graph, again)
    assert (found.train_speed.value, found.train_speed.basis) == (10 * BATCH / 2, "measured")
    assert found.seconds[name].basis == "measured"
    assert forecast(plan(record=record | {"threads": 8}), again).train_speed.basis == "estimated"


def test_the_median_of_the_last_measurements_counts(speeds: Speeds) -> None:
    for value in [1e9, 1e9, *[5.0, 1.0, 9.0] * 3]:
        speeds.add("train", "k", value)
    assert speeds.get("train", "k") == 5.0


def test_the_time_of_reading_is_that_of_the_same_sources(plan: Plan, speeds: Speeds, sources: dict[str, Any]) -> None:
    graph = plan()
    measure(graph.steps["corpus prose"], 7.0, graph, speeds)
    found = forecast(graph, speeds).seconds
    assert (found["corpus prose"].value, found["corpus prose"].basis) == (7.0, "measured")
    assert found["corpus code"].basis == "estimated"
    smaller = {**sources, "letters": {**sources["letters"], "group": "document"}}
    assert forecast(plan(sources=smaller), speeds).seconds["corpus prose"].basis == "estimated"


def test_a_larger_file_takes_longer(plan: Plan, speeds: Speeds, sources: dict[str, Any], tmp_path: Path) -> None:
    large = tmp_path / "large.jsonl"
    large.write_bytes(b"x" * 8_000_000)
    found = forecast(plan(sources=sources | {"prose": {"read": {"jsonl": str(large)}}}), speeds).seconds
    assert found["corpus prose"].value > found["corpus code"].value + 1


def test_a_group_is_measured_when_all_of_it_was(plan: Plan, speeds: Speeds) -> None:
    graph = plan()
    corpora = frozenset(name for name, step in graph.steps.items() if step.group == "corpora")
    for name in sorted(corpora - {"corpus code"}):
        measure(graph.steps[name], 3.0, graph, speeds)
    assert forecast(graph, speeds).total(graph, "corpora", corpora).basis == "estimated"
    measure(graph.steps["corpus code"], 3.0, graph, speeds)
    total = forecast(graph, speeds).total(graph, "corpora", corpora)
    assert (total.value, total.basis) == (3.0 * len(corpora), "measured")
    assert forecast(graph, speeds).total(graph, "corpora", frozenset()).value == 0


def test_disk_counts_every_checkpoint(plan: Plan, speeds: Speeds) -> None:
    one, two = plan(seeds=1), plan(seeds=2)
    more = sum(forecast(two, speeds).bytes[name] for name in two.steps if name not in one.steps)
    assert more >= len(one.training_steps()) * checkpoint_bytes(one.study.model, 300)
    assert forecast(two, speeds).disk.value - forecast(one, speeds).disk.value == more


def test_a_broken_memory_of_speeds_is_no_memory(plan: Plan, tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    store.prepare()
    (store.root / "speeds.json").write_text("{half")
    assert forecast(plan(), Speeds(store)).train_speed.basis == "estimated"


def test_free_space_is_that_of_the_nearest_folder_that_exists(tmp_path: Path) -> None:
    assert disk_free(tmp_path / "not" / "yet" / "there") > 0


def test_the_speed_depends_on_shapes_and_record(plan: Plan, record: dict[str, Any]) -> None:
    study = plan().study
    key = speed_key(study, 300, record)
    assert key == speed_key(study, 300, dict(record))
    assert key != speed_key(study, 310, record)
    assert key != speed_key(study, 300, None)


def test_a_batch_is_computed_in_parts_and_takes_the_memory_of_one(
    plan: Plan, speeds: Speeds, record: dict[str, Any]
) -> None:
    """16 sequences of 64 tokens; a part is as many as fit into `micro_tokens`."""
    study = plan().study

    def memory(micro_tokens: int) -> float:
        return forecast(plan(record=record | {"micro_tokens": micro_tokens}), speeds).memory.value

    assert memory(4096) == peak_memory(study.model, 300, 64, 16)
    assert memory(256) == peak_memory(study.model, 300, 64, 4)
    assert memory(1) == peak_memory(study.model, 300, 64, 1)


def test_what_a_resumed_step_trained_is_measured_by_its_own_seconds(plan: Plan, speeds: Speeds) -> None:
    graph = plan()
    step = graph.steps[graph.checkpoints["text→text", 1, 10 * BATCH]]
    measure(step, 2.0, graph, speeds, total=9.0, done=3 * BATCH)
    assert forecast(graph, speeds).train_speed.value == 3 * BATCH / 2


def test_a_resumed_step_that_does_not_say_what_it_did_is_measured_whole(plan: Plan, speeds: Speeds) -> None:
    graph = plan()
    step = graph.steps[graph.checkpoints["text→text", 1, 10 * BATCH]]
    measure(step, 0.1, graph, speeds, total=10.0)
    assert forecast(graph, speeds).train_speed.value == BATCH
    measure(graph.steps["corpus prose"], 1.0, graph, speeds, total=8.0)
    assert forecast(graph, speeds).seconds["corpus prose"].value == 8.0


def test_two_studies_that_measure_at_once_keep_both(tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    one, other = Speeds(store), Speeds(store)
    one.add("train", "a", 1.0)
    other.add("train", "b", 2.0)
    one.save()
    other.save()
    again = Speeds(store)
    assert (again.get("train", "a"), again.get("train", "b")) == (1.0, 2.0)


def test_cloze_items_are_divided_over_the_sources_that_have_some(
    plan: Plan, speeds: Speeds, sources: dict[str, Any]
) -> None:
    def seconds(**fields: Any) -> float:
        graph = plan(evaluate={"tasks": ["cloze"]}, context=128, **fields)
        (name,) = {e.step for e in graph.evaluations if e.mark.variant == "text→text" and e.seed == 1} & {
            e.step for e in graph.evaluations if e.task == "prose"
        }
        return forecast(graph, speeds).seconds[name].value

    # Neither has items: a source on the way to another, and one that nothing uses.
    more = {"idle": {"from": "code"}, "short": {"from": "letters", "keep": {"characters": "..500"}}}
    assert seconds(sources=sources | more) == seconds()
