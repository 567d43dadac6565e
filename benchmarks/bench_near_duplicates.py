"""Near-duplicates: signatures against datatrove's, and the whole search as the corpus grows.

    python benchmarks/bench_near_duplicates.py --data DIR --peer PYTHON_WITH_DATATROVE

Signatures are made of the same documents, prose and code, by one process each, in turns, each tool with the settings
it has unless told otherwise (ours 160 hashes, datatrove's 112). Our time includes reading Parquet, normalising,
digests and writing; theirs starts with the documents in memory. The peer lives in an environment of its own:
datatrove, spacy.

Processor time is given beside the clock's, for machines that others use, too.

The search runs in one process without a pool. Its peak is that of the whole process. In the heavy case every document
has a copy in which one word of a hundred is replaced, so each of them is compared.

Prints a table, and writes it to `benchmarks/results/<date>-near-duplicates.json`.
"""

from __future__ import annotations

import argparse
import datetime
import importlib.metadata
import io
import json
import os
import platform
import random
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

SHARD_BYTES = 64_000_000
PEER = """
import json, sys, time
from importlib.metadata import version
from datatrove.data import Document
from datatrove.pipeline.dedup import MinhashDedupSignature
from datatrove.pipeline.dedup.minhash import MinhashConfig

with open(sys.argv[1], encoding="utf-8") as file:
    documents = [Document(text=json.loads(line), id=str(number)) for number, line in enumerate(file)]
config = MinhashConfig()
signing = MinhashDedupSignature(output_folder=sys.argv[2], config=config)
warm = [Document(text="one two three four five six", id="warm")]
signing.run(iter(warm), 1, 2)
started, spent = time.perf_counter(), time.process_time()
signing.run(iter(documents), 0, 2)
seconds, spent = time.perf_counter() - started, time.process_time() - spent
print(json.dumps({
    "seconds": seconds,
    "processor_seconds": spent,
    "hashes": config.num_buckets * config.hashes_per_bucket,
    "versions": {name: version(name) for name in ("datatrove", "spacy", "numpy")} | {"python": sys.version.split()[0]},
}))
"""


@dataclass
class Artefact:
    """An artefact on disk without a store."""

    path: Path
    facts: dict[str, Any]
    content: str = "benchmark"
    key: str = "benchmark"

    def file(self, name: str) -> Path:
        return self.path / name


@dataclass
class Context:
    """A step's world without a store: sub-steps run at once, in this process."""

    out: Path
    config: dict[str, Any]
    inputs: dict[str, Artefact]
    settings: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.work = self.out.with_name(self.out.name + ".work")
        for folder in (self.out, self.work):
            folder.mkdir(parents=True, exist_ok=True)

    def progress(self, done: float, total: float, **facts: object) -> None:
        pass

    def log(self, message: str) -> None:
        pass

    def warn(self, message: str) -> None:
        pass

    def stop_requested(self) -> bool:
        return False

    def map(self, kind: str, version: int, configs: Any, function: str, **given: Any) -> list[Artefact]:
        from pretrial.corpus.near import signatures

        made = []
        for number, config in enumerate(configs):
            one = Context(self.out.with_name(f"{self.out.name}.{number}"), config, given["inputs"])
            made.append(Artefact(one.out, signatures.sign_shard(one)))
        return made


def texts(data: Path, megabytes: float) -> Iterator[str]:
    """About so many megabytes of the corpora: of each file the same share, by every k-th document."""
    import zstandard

    files = sorted([*data.glob("text/*.jsonl.zst"), *data.glob("code*/*.jsonl.zst")])

    def lines(path: Path) -> Iterator[str]:
        with path.open("rb") as file:
            for line in io.TextIOWrapper(zstandard.ZstdDecompressor().stream_reader(file), "utf-8"):
                yield json.loads(line)["text"]

    total = sum(len(text.encode()) for path in files for text in lines(path)) / 1e6
    share, due, taken = min(1.0, megabytes / total), 0.0, 0
    for path in files:
        for text in lines(path):
            due += len(text.encode()) * share
            if taken < due:
                taken += len(text.encode())
                yield text


def edited(text: str, number: int) -> str:
    """A copy in which one word of a hundred is another."""
    words = text.split(" ")
    for place in random.Random(number).sample(range(len(words)), len(words) // 100):
        words[place] = f"edited{place}"
    return " ".join(words)


def write_corpus(folder: Path, documents: Iterator[str]) -> dict[str, Any]:
    """A corpus of these texts; its facts."""
    from pretrial.corpus.documents import Writer, document
    from pretrial.corpus.readers.record import Record

    folder.mkdir(parents=True)
    shards: list[dict[str, Any]] = []
    writer: Writer | None = None
    for number, text in enumerate(documents):
        if writer is None:
            shards.append({"file": f"shard-{len(shards):05d}.parquet", "documents": 0, "bytes": 0})
            writer = Writer(folder / shards[-1]["file"]).__enter__()
        row = document(Record(str(number), text, str(number), {}), "document", None)
        assert isinstance(row, dict)
        writer.add(row, row["bytes"])
        shards[-1]["documents"] += 1
        shards[-1]["bytes"] += row["bytes"]
        if shards[-1]["bytes"] > SHARD_BYTES:
            writer.__exit__(None, None, None)
            writer = None
    if writer is not None:
        writer.__exit__(None, None, None)
    facts = {key: sum(shard[key] for shard in shards) for key in ("documents", "bytes")} | {"shards": shards}
    (folder / "facts.json").write_text(json.dumps(facts))
    return facts


def search(folder: Path, work: Path, find: bool) -> dict[str, Any]:
    """Sign a corpus and, if asked to, look for its near-duplicates: seconds, peak memory, what was found."""
    from pretrial.corpus.near import clusters, signatures, spec

    chosen = spec.settings()
    corpus = Artefact(folder, json.loads((folder / "facts.json").read_text()))
    warm = signatures.sign([b"a b c"], spec.signature_config(chosen))
    assert warm.shape == (1, chosen.hashes)
    started, spent = time.perf_counter(), time.process_time()
    signing = Context(work / "signed", spec.signature_config(chosen), {"corpus": corpus})
    signed = Artefact(signing.out, signatures.sign_corpus(signing))
    found = {
        "sign_seconds": time.perf_counter() - started,
        "sign_processor_seconds": time.process_time() - spent,
        "hashes": chosen.hashes,
    }
    if find:
        started, spent = time.perf_counter(), time.process_time()
        inputs = {"corpus:x": corpus, "signatures:x": signed}
        facts = clusters.find_near_duplicates(Context(work / "near", spec.near_config(chosen, ["x"]), inputs))
        found["find_seconds"] = time.perf_counter() - started
        found["find_processor_seconds"] = time.process_time() - spent
        keys = ("documents", "copies", "candidates", "verified", "false_candidate_share", "components", "crowded")
        found |= {key: facts[key] for key in keys}
    # Kilobytes on Linux.
    found["peak_megabytes"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000
    return found


def call(command: list[str]) -> dict[str, Any]:
    """Run a program that prints JSON on its last line."""
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    answer: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return answer


def ours(corpus: Path, work: Path, *, find: bool) -> dict[str, Any]:
    """`search` in a process of its own."""
    shutil.rmtree(work, ignore_errors=True)
    return call([sys.executable, __file__, "--search", str(corpus), str(work), *(["--find"] if find else [])])


def machine() -> dict[str, Any]:
    """What this ran on."""
    info = Path("/proc/cpuinfo")
    names = [line.partition(":")[2].strip() for line in info.read_text().splitlines() if line.startswith("model name")]
    return {
        "processor": names[0] if names else platform.processor(),
        "cores": os.cpu_count(),
        "memory_gigabytes": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9, 1),
        "system": f"{platform.system()} {platform.release()}",
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=os.environ.get("PRETRIAL_DATA"), help="folder of real corpora")
    parser.add_argument("--peer", help="Python of an environment with datatrove and spacy")
    parser.add_argument("--megabytes", type=float, default=30, help="of the corpus that both sign")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--sizes", type=float, nargs="*", default=[100, 400], help="megabytes of the whole search")
    parser.add_argument("--results", type=Path, default=Path(__file__).parent / "results")
    parser.add_argument("--search", type=Path, nargs=2, help=argparse.SUPPRESS)
    parser.add_argument("--find", action="store_true", help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.search:
        corpus, work = chosen.search
        print(json.dumps(search(corpus, work, chosen.find)))
        return
    if chosen.data is None:
        parser.error("name the folder of real corpora: --data DIR, or set PRETRIAL_DATA")
    versions = {name: importlib.metadata.version(name) for name in ("daft", "numpy", "pyarrow")}
    result: dict[str, Any] = {
        "date": datetime.date.today().isoformat(),
        "machine": machine(),
        "versions": versions | {"python": platform.python_version()},
    }
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if chosen.peer:
            result["signatures"] = signatures_against(chosen, folder)
        result["search"] = [searched(chosen.data, size, folder, heavy=False) for size in chosen.sizes]
        result["search"].append(searched(chosen.data, min(chosen.sizes, default=100), folder, heavy=True))
    chosen.results.mkdir(parents=True, exist_ok=True)
    path = chosen.results / f"{result['date']}-near-duplicates.json"
    path.write_text(json.dumps(result, indent=1) + "\n")
    print(f"written to {path}")


def signatures_against(chosen: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Both tools in turns on the same documents."""
    documents = list(texts(chosen.data, chosen.megabytes))
    facts = write_corpus(folder / "both", iter(documents))
    lines = folder / "both.jsonl"
    lines.write_text("".join(json.dumps(text) + "\n" for text in documents))
    megabytes = facts["bytes"] / 1e6
    mine, theirs = [], []
    for run in range(chosen.runs):
        mine.append(ours(folder / "both", folder / "ours", find=False))
        theirs.append(call([chosen.peer, "-c", PEER, str(lines), str(folder / f"peer-{run}")]))
        print(
            f"run {run + 1}: ours {mine[-1]['sign_seconds']:.2f} s, datatrove {theirs[-1]['seconds']:.2f} s", flush=True
        )
    took = {
        "ours": {"": "sign_seconds", "processor_": "sign_processor_seconds"},
        "datatrove": {"": "seconds", "processor_": "processor_seconds"},
    }
    speeds = {
        kind: {
            tool: statistics.median(megabytes / one[took[tool][kind]] for one in runs)
            for tool, runs in (("ours", mine), ("datatrove", theirs))
        }
        for kind in ("", "processor_")
    }
    print(f"signatures of {megabytes:.1f} MB, {facts['documents']:,} documents, one process, medians of {chosen.runs}:")
    ratios = {}
    for kind, name in (("", "second"), ("processor_", "second of processor time")):
        ratios[kind] = speeds[kind]["ours"] / speeds[kind]["datatrove"]
        print(
            f"  MB a {name}: ours {speeds[kind]['ours']:.1f}, datatrove {speeds[kind]['datatrove']:.2f}, "
            f"{ratios[kind]:.0f} times"
        )
    return {
        "megabytes": megabytes,
        "documents": facts["documents"],
        "ours": mine,
        "datatrove": theirs,
        "median_megabytes_per_second": speeds[""],
        "median_megabytes_per_processor_second": speeds["processor_"],
        "ratio": ratios[""],
        "processor_ratio": ratios["processor_"],
    }


def searched(data: Path, size: float, folder: Path, *, heavy: bool) -> dict[str, Any]:
    """The whole search on one corpus."""

    def documents() -> Iterator[str]:
        for number, text in enumerate(texts(data, size / 2 if heavy else size)):
            yield text
            if heavy:
                yield edited(text, number)

    corpus = folder / f"corpus-{size:g}{'-heavy' if heavy else ''}"
    facts = write_corpus(corpus, documents())
    found = ours(corpus, folder / "search", find=True)
    shutil.rmtree(corpus)
    megabytes = facts["bytes"] / 1e6
    speed = megabytes / (found["sign_seconds"] + found["find_seconds"])
    print(f"search of {megabytes:.0f} MB, {found['documents']:,} documents{', half of them edited copies' * heavy}:")
    print(
        f"  signatures {found['sign_seconds']:.1f} s, the rest {found['find_seconds']:.1f} s, {speed:.1f} MB/s in all"
    )
    spent = found["sign_processor_seconds"] + found["find_processor_seconds"]
    print(f"  {spent:.1f} s of processor time; peak {found['peak_megabytes']:.0f} MB of memory", end="")
    print(
        f"; {found['candidates']:,} candidates, {found['verified']:,} near, {found['copies']:,} copies",
        flush=True,
    )
    return {"megabytes": megabytes, "edited_copies": heavy, "megabytes_per_second": speed, **found}


if __name__ == "__main__":
    main()
