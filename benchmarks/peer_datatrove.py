"""The curation of `bench_curation.py` in datatrove.

For a Python of an environment of its own, with datatrove, spacy and tokenizers.

    python peer_datatrove.py INPUT OUTPUT TOKENIZER MARK TASKS

Reads JSON lines, applies datatrove's Gopher and C4 filters, finds near-duplicates by MinHash in its four stages, and
tokenises what is left, every setting as the library has it. The first stage signs documents as it writes them, so that
they are not read once more for it. Exact copies have equal signatures and need no stage.
Prints JSON on its last line: seconds by stage, documents and tokens left, versions.
"""

from __future__ import annotations

import json
import sys
import time
from importlib.metadata import version
from pathlib import Path

from datatrove.executor import LocalPipelineExecutor
from datatrove.pipeline.dedup import (
    MinhashDedupBuckets,
    MinhashDedupCluster,
    MinhashDedupFilter,
    MinhashDedupSignature,
)
from datatrove.pipeline.dedup.minhash import MinhashConfig
from datatrove.pipeline.filters import C4QualityFilter, GopherQualityFilter, GopherRepetitionFilter
from datatrove.pipeline.readers import JsonlReader
from datatrove.pipeline.tokens import DocumentTokenizer
from datatrove.pipeline.writers import JsonlWriter


def main() -> None:
    given, out, tokenizer, mark, count = sys.argv[1:]
    work, tasks = Path(out), int(count)
    config = MinhashConfig()
    filtered, signed, found, removed, tokens = (
        str(work / name) for name in ("filtered", "signatures", "buckets", "remove", "tokens")
    )
    stages = {
        "read, filter, sign": (
            [
                JsonlReader(given, glob_pattern="*.jsonl"),
                GopherQualityFilter(),
                GopherRepetitionFilter(),
                C4QualityFilter(),
                JsonlWriter(filtered, output_filename="${rank}.jsonl", compression=None),
                MinhashDedupSignature(signed, config=config),
            ],
            tasks,
        ),
        "buckets": ([MinhashDedupBuckets(signed, found, config=config)], config.num_buckets),
        "cluster": ([MinhashDedupCluster(found, removed, config=config)], 1),
        "drop, tokenise": (
            [
                JsonlReader(filtered),
                MinhashDedupFilter(removed),
                DocumentTokenizer(tokens, tokenizer_name_or_path=tokenizer, eos_token=mark),
            ],
            tasks,
        ),
    }
    seconds: dict[str, float] = {}
    for number, (name, (steps, many)) in enumerate(stages.items()):
        started = time.perf_counter()
        LocalPipelineExecutor(steps, tasks=many, workers=tasks, logging_dir=str(work / f"logs-{number}")).run()
        seconds[name] = time.perf_counter() - started
    left = sum(path.stat().st_size for path in Path(tokens).glob("*.ds.index")) // 8
    print(
        json.dumps(
            {
                "stages": seconds,
                "filtered": sum(path.read_bytes().count(b"\n") for path in Path(filtered).glob("*.jsonl")),
                "documents": left,
                "tokens": sum(path.stat().st_size for path in Path(tokens).glob("*.ds")) // 2 - left,
                "hashes": config.num_buckets * config.hashes_per_bucket,
                "versions": {name: version(name) for name in ("datatrove", "spacy", "tokenizers", "numpy")}
                | {"python": sys.version.split()[0]},
            }
        )
    )


if __name__ == "__main__":
    main()
