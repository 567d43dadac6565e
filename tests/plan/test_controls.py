"""Which comparisons are matched, in what, and why not in the rest."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pretrial.plan.controls import Control
from pretrial.plan.controls import control as compare
from pretrial.plan.courses import courses
from pretrial.plan.graph import Graph
from pretrial.plan.view import controls
from pretrial.study.schema import Study

BATCH = 1024
Build = Callable[..., Study]
Plan = Callable[..., Graph]


def stage(steps: int, mixture: str = "text", **fields: Any) -> dict[str, Any]:
    return {"tokens": steps * BATCH, "mixture": mixture, **fields}


def control(study: Study, variant: str, base: str = "base") -> Control:
    made = courses(study, 300)
    return compare(made[variant], made[base], study.context)


def two(build: Build, base: list[Any], variant: list[Any], **fields: Any) -> Control:
    return control(build(variants={"base": base, "variant": variant}, baseline="base", **fields), "variant")


def test_equal_tokens_boundaries_and_rates_are_equal_compute(build: Build) -> None:
    found = two(build, [stage(10), stage(10)], [stage(10, "mixed"), stage(10)])
    assert found.holds == ("compute",)
    assert found.reasons == (
        "not at equal text: prose gets other token counts than in the baseline",
        "not the same data in another order",
    )
    assert found.differs == (
        "prose: 15,360 against 20,480 tokens",
        "code: 5,120 against 0 tokens",
        "stage 1 trains mixed instead of text",
    )


def test_code_added_on_top_is_equal_text_and_not_equal_compute(build: Build) -> None:
    found = two(build, [stage(10)], [stage(20, "mixed")])
    assert found.holds == ("text",)
    assert found.reasons[0] == "not at equal compute: 20,480 tokens in all against 10,240"
    assert "code: 10,240 against 0 tokens" in found.differs


def test_the_same_data_in_another_order_holds_everything(build: Build) -> None:
    found = two(build, [stage(10), stage(10, "code")], [stage(10, "code"), stage(10)])
    assert found.holds == ("compute", "text", "order")
    assert found.reasons == ()
    assert found.differs == ("stage 1 trains code instead of text", "stage 2 trains text instead of code")


def test_other_boundaries_with_the_same_data_are_not_another_order_alone(build: Build) -> None:
    found = two(build, [stage(20, "mixed")], [stage(10), stage(10, "code")])
    assert "order" not in found.holds
    assert found.holds == ("text",)
    assert found.reasons[0] == "not at equal compute: its stages end at other tokens"


def test_another_total_of_another_text_is_descriptive_and_says_why(build: Build) -> None:
    found = two(build, [stage(10)], [stage(15, "mixed")])
    assert found.holds == ()
    assert [reason.split(":")[0] for reason in found.reasons] == [
        "not at equal compute", "not at equal text", "not the same data in another order",
    ]  # fmt: skip


def test_another_learning_rate_in_a_stage_is_not_equal_compute(build: Build) -> None:
    own = {"constant": {"warmup": 0}}
    found = two(build, [stage(10), stage(10)], [stage(10), stage(10, schedule=own)])
    assert found.holds == ("text",)
    assert "not at equal compute: stage 2 has another learning rate" in found.reasons


def test_cooldowns_from_one_parent_are_matched(build: Build) -> None:
    variants = {
        "trunk": [stage(10)],
        "base": [{"from": "trunk"}, {"cooldown": 5 * BATCH, "mixture": "text"}],
        "variant": [{"from": "trunk"}, {"cooldown": 5 * BATCH, "mixture": "mixed"}],
    }
    study = build(variants=variants, baseline="base")
    assert control(study, "variant").holds == ("compute",)
    assert control(study, "trunk").holds == ()


def test_a_variant_matches_itself(build: Build) -> None:
    assert two(build, [stage(10)], [stage(10)]).holds == ("compute", "text", "order")


def test_a_plan_lists_the_comparison_of_every_other_variant(plan: Plan) -> None:
    assert [(c.variant, c.baseline) for c in controls(plan())] == [
        ("mixed→text", "text→text"), ("mixed→mixed", "text→text"),
    ]  # fmt: skip
    assert [c.variant for c in controls(plan(only=("text→text", "mixed→mixed")))] == ["mixed→mixed"]
