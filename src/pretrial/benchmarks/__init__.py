"""Local benchmark files: which there are, what identifies them, and which of their items are used."""

from pretrial.benchmarks.items import (
    TASKS,
    Benchmark,
    Item,
    bench_config,
    check_bench,
    choose,
    identity,
    load_items,
)

__all__ = [
    "TASKS",
    "Benchmark",
    "Item",
    "bench_config",
    "check_bench",
    "choose",
    "identity",
    "load_items",
]
