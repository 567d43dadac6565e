"""Curation: the whole of it against datatrove's, rules, tokens, and how time and memory grow with the corpus.

    python benchmarks/bench_curation.py --data DIR --peer-python PYTHON_WITH_DATATROVE
    python benchmarks/bench_curation.py --data DIR --only rules tokens growth

*Whole*: JSON lines of prose, some of it copied with a word of a hundred replaced, are read, filtered by Gopher's
quality and repetition rules and C4's, freed of exact and near-duplicates and tokenised with one tokenizer.json, by two
worker processes of either tool, in turns, each from the start of its program to the end. Ours are the steps of a study,
run by its runner into a new store: all is hashed, every reject is listed, candidate pairs are verified, a part is held
out. The peer (`peer_datatrove.py`) lives in an environment of its own; its settings are its own defaults.

*Rules*: one process, texts in memory; code for the rules of code, prose for those of prose; by processor time. The
cheap ones together go through `Pipeline.apply`, as in a corpus.

*Tokens*: the step against `encode_batch_fast` of the tokenizers library on the same texts in batches of 4 MB (with
batches of 1 or 40 MB it is slower), with the same threads, whose tokens nobody takes out of it. The step's time
includes reading Parquet, loading the tokenizer, checking, sorting and writing; imports are in neither.

*Growth*: corpus, signatures, near-duplicates, selection, by two workers, without rules. Above the size of the real
data, documents come again with every fourth word replaced, so that they share no shingle; one of ten with a word of a
hundred, to be found.

Time is the clock's; processor time is beside it, for machines that others use, too. Memory is the sum of resident
memory over all processes, looked at ten times a second; pages that processes share count in each.

Prints tables, and writes them to `benchmarks/results/<date>-curation.json`; what is not run stays there as it was.
"""

from __future__ import annotations

import argparse
import datetime
import hashlib
import importlib.metadata
import io
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import sysconfig
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from bench_near_duplicates import Artefact, Context, edited, machine, texts, write_corpus

PARTS = ("whole", "rules", "tokens", "growth")
WORKERS = 2
VOCABULARY = 8192
LONGEST = 100_000
"""Bytes of a document of prose; longer ones (books) are left out, since Gopher's rules drop them."""
CHEAP = ("stack-v2-lines", "stack-v2-alphabetic", "stack-v2-encoded")
MEASURES = ("characters", "lines", "mean-line")
PROSE_RULES = (
    "no-code", "code-out", "drop-labels", "gopher-quality", "gopher-repetition", "c4-page", "c4-lines",
    "fineweb-quality", "language", "redact", "stack-v2-issues", "stack-v2-pull-requests",
)  # fmt: skip


# -- what all share ----------------------------------------------------------------------------------------------------


def prose(data: Path, megabytes: float) -> Iterator[str]:
    """About so many megabytes of documents of prose: of each file the same share, by every k-th."""
    import zstandard

    def lines(path: Path) -> Iterator[str]:
        with path.open("rb") as file:
            for line in io.TextIOWrapper(zstandard.ZstdDecompressor().stream_reader(file), "utf-8"):
                text = json.loads(line)["text"]
                if len(text.encode()) <= LONGEST:
                    yield text

    files = sorted(data.glob("text/*.jsonl.zst"))
    total = sum(len(text.encode()) for path in files for text in lines(path)) / 1e6
    share, due, taken = min(1.0, megabytes / total), 0.0, 0
    for path in files:
        for text in lines(path):
            due += len(text.encode()) * share
            if taken < due:
                taken += len(text.encode())
                yield text


def code(data: Path, megabytes: float) -> Iterator[tuple[str, dict[str, Any]]]:
    """(text, fields) of source files: half from the data's many languages, half Python that is installed here."""
    import zstandard

    taken = 0
    with (data / "code" / "rosetta_code.jsonl.zst").open("rb") as file:
        for line in io.TextIOWrapper(zstandard.ZstdDecompressor().stream_reader(file), "utf-8"):
            record = json.loads(line)
            text = record.pop("text")
            taken += len(text.encode())
            if taken > megabytes * 5e5:
                break
            yield text, record
    taken = 0
    site = Path(sysconfig.get_paths()["purelib"])
    for path in sorted(site.rglob("*.py")):
        try:
            text = path.read_text("utf-8")
        except (OSError, UnicodeDecodeError):
            continue
        if text.strip():
            taken += len(text.encode())
            if taken > megabytes * 5e5:
                break
            yield text, {"language": "python", "path": str(path.relative_to(site))}


def write_lines(path: Path, documents: Sequence[str]) -> None:
    """JSON lines with `text` and `id`."""
    with path.open("w", encoding="utf-8") as file:
        for number, text in enumerate(documents):
            file.write(json.dumps({"id": f"{path.stem}-{number}", "text": text}) + "\n")


def make_tokenizer(folder: Path, documents: Sequence[str]) -> str:
    """Train a tokenizer.json as studies do, in `folder`; its mark."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    from pretrial.tokens.spec import MARK

    folder.mkdir(parents=True)
    made = Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
    made.decoder = decoders.ByteLevel()
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    made.train_from_iterator(
        documents, trainers.BpeTrainer(vocab_size=VOCABULARY - 1, initial_alphabet=alphabet, show_progress=False)
    )
    made.add_special_tokens([MARK])
    made.save(str(folder / "tokenizer.json"))
    described = {"vocabulary": VOCABULARY, "mark": made.token_to_id(MARK), "text": MARK}
    (folder / "mark.json").write_text(json.dumps(described))
    return MARK


class Watch:
    """Processor time and peak memory of a process and all below it, looked at ten times a second."""

    def __init__(self, root: int) -> None:
        self.peak = 0
        self._spent: dict[tuple[int, str], float] = {}
        self._root = root
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Look no more."""
        self._done.set()
        self._thread.join()

    @property
    def processor_seconds(self) -> float:
        """Of all processes that were seen."""
        return sum(self._spent.values())

    def _look(self) -> None:
        page, tick = os.sysconf("SC_PAGE_SIZE"), os.sysconf("SC_CLK_TCK")
        while not self._done.wait(0.1):
            resident, found = 0, [self._root]
            for process in found:
                try:
                    for children in Path(f"/proc/{process}/task").glob("*/children"):
                        found += map(int, children.read_text().split())
                    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
                except (FileNotFoundError, ProcessLookupError):
                    continue
                # Fields 14, 15, 22 and 24 of proc_pid_stat(5): user and system time, start, resident pages.
                self._spent[process, fields[19]] = (int(fields[11]) + int(fields[12])) / tick
                resident += int(fields[21]) * page
            self.peak = max(self.peak, resident)


def timed(command: Sequence[str]) -> dict[str, Any]:
    """Run a program that prints JSON on its last line, and add what it took, from its start to its end."""
    started = time.perf_counter()
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=os.environ | {"HF_HUB_OFFLINE": "1"}
    ) as process:
        watch = Watch(process.pid)
        out, problems = process.communicate()
        watch.stop()
    if process.returncode:
        raise SystemExit(f"{' '.join(command)} failed:\n{problems[-3000:]}")
    answer: dict[str, Any] = json.loads(out.strip().splitlines()[-1])
    return answer | {
        "seconds": time.perf_counter() - started,
        "processor_seconds": watch.processor_seconds,
        "peak_megabytes": watch.peak / 1e6,
    }


# -- our steps, in a process of their own ------------------------------------------------------------------------------


class Silent:
    """An observer that keeps what each step took."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    def started(self, step: Any) -> None:
        pass

    def progress(self, step: Any, done: float, total: float, facts: Mapping[str, float | str]) -> None:
        pass

    def finished(self, step: Any, seconds: float) -> None:
        self.seconds[step.name] = seconds

    def failed(self, step: Any, error: Exception) -> None:
        raise SystemExit(f"{step.name}: {error}")

    def log(self, message: str) -> None:
        pass

    def warn(self, message: str) -> None:
        print(message, file=sys.stderr)


class Hashes:
    """A hash cache that keeps nothing."""

    def hash(self, path: Path) -> str:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()


def steps_of(pattern: str, rules: Sequence[str], tokenizer: Path | None) -> list[Any]:
    """The steps that a study of one source of JSON lines has before training, by name as studies name them."""
    from pretrial.corpus import spec
    from pretrial.corpus.near import spec as near
    from pretrial.plan.steps import Step
    from pretrial.study.schema import Read, Source
    from pretrial.tokens import spec as tokens

    source = Source(Read("jsonl", pattern, {"id": "id"}), filter=tuple(rules))
    config, settings = spec.source_config(source), spec.source_settings(source, None, Path("/"), name="web")
    config = spec.corpus_config(config, spec.input_fingerprint(config, settings, Hashes()))
    chosen = near.settings()

    def step(name: str, kind: str, version: int, function: str, config: Any, inputs: Any, **more: Any) -> Any:
        return Step(name, kind, version, f"pretrial.{function}", config, inputs=inputs, **more)

    corpus, signed = {"corpus:web": "corpus web"}, {"signatures:web": "signatures of web"}
    made = [
        step(
            "corpus web", "corpus", spec.SEMANTICS["corpus"], "corpus.read:read_corpus", config, {}, settings=settings,
        ),
        step(
            "signatures of web", "near-signatures", near.SEMANTICS["near-signatures"],
            "corpus.near.signatures:sign_corpus", near.signature_config(chosen), {"corpus": "corpus web"},
        ),
        step(
            "near-duplicates", "near-duplicates", near.SEMANTICS["near-duplicates"],
            "corpus.near.clusters:find_near_duplicates", near.near_config(chosen, ["web"]), corpus | signed,
        ),
        step(
            "selection of documents", "select", spec.SEMANTICS["select"], "corpus.select:select_documents",
            spec.select_config(["web"], {"web"}), corpus | {"near": "near-duplicates"},
        ),
    ]  # fmt: skip
    if tokenizer is None:
        return made
    made.append(
        step(
            "tokenizer", "tokenizer", tokens.SEMANTICS["tokenizer"], "tokens.tokenizer:import_tokenizer",
            {"sha256": Hashes().hash(tokenizer)}, {}, settings={"file": str(tokenizer)},
        )
    )  # fmt: skip
    inputs = {"corpus": "corpus web", "select": "selection of documents", "tokenizer": "tokenizer"}
    for part in ("train", "held-out"):
        config = {"source": "web", "part": part}
        name, version = f"tokens of web ({part})", tokens.SEMANTICS["tokens"]
        made.append(step(name, "tokens", version, "tokens.shards:tokenise", config, inputs, parts={"select": ["web"]}))
    return made


def run_steps(pattern: str, store: Path, rules: Sequence[str], tokenizer: Path | None) -> dict[str, Any]:
    """Run the steps into a new store: seconds of each, and what came of them."""
    from pretrial.execute.runner import Runner
    from pretrial.store.artefacts import Store

    steps = steps_of(pattern, rules, tokenizer)
    kept = Store(store)
    kept.prepare()
    silent = Silent()
    runner = Runner(kept, steps, silent, workers=WORKERS)
    runner.run([step.name for step in steps])
    facts = {step.name: runner.ensure(step.name).facts for step in steps}
    chosen = facts["selection of documents"]["sources"]["web"]
    near = facts["near-duplicates"]
    found: dict[str, Any] = {
        "stages": silent.seconds,
        "filtered": facts["corpus web"]["documents"],
        "documents": chosen["train"]["documents"] + chosen["held_out"]["documents"],
        "classes": {name: chosen[name]["documents"] for name in chosen if isinstance(chosen[name], dict)},
        "near": {name: near[name] for name in ("copies", "candidates", "verified")},
    }
    if tokenizer is not None:
        # A mark stands before each document and after the last.
        made = [facts[f"tokens of web ({part})"] for part in ("train", "held-out")]
        found["tokens"] = sum(one["tokens"] - one["documents"] - 1 for one in made)
    return found


# -- whole curation ----------------------------------------------------------------------------------------------------


def whole(chosen: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Both tools in turns on the same files."""
    real = list(prose(chosen.data, chosen.megabytes / 1.2))
    copies = [edited(text, number) if number % 10 else text for number, text in enumerate(real) if number % 5 == 0]
    documents = real + copies
    files = folder / "lines"
    files.mkdir()
    for part in range(WORKERS):
        write_lines(files / f"part-{part}.jsonl", documents[part::WORKERS])
    mark = make_tokenizer(folder / "tokenizer", real[::3])
    tokenizer = folder / "tokenizer" / "tokenizer.json"
    megabytes = sum(len(text.encode()) for text in documents) / 1e6
    mine, theirs = [], []
    peer = [chosen.peer_python, str(Path(__file__).with_name("peer_datatrove.py"))] if chosen.peer_python else None
    for run in range(chosen.runs):
        out = folder / "run"
        mine.append(timed([sys.executable, __file__, "--steps", str(files), str(out), "--tokenizer", str(tokenizer)]))
        shutil.rmtree(out)
        say = f"run {run + 1}: ours {mine[-1]['seconds']:.1f} s"
        if peer:
            theirs.append(timed([*peer, str(files), str(out), str(tokenizer), mark, str(WORKERS)]))
            shutil.rmtree(out)
            say += f", datatrove {theirs[-1]['seconds']:.1f} s"
        print(say, flush=True)
    result: dict[str, Any] = {"megabytes": megabytes, "documents": len(documents), "copies": len(copies)}
    print(f"whole curation of {megabytes:.1f} MB, {len(documents):,} documents, {WORKERS} workers:")
    for tool, runs in {"ours": mine, "datatrove": theirs}.items():
        if runs:
            result[tool] = {
                "median_seconds": statistics.median(one["seconds"] for one in runs),
                "median_processor_seconds": statistics.median(one["processor_seconds"] for one in runs),
                "peak_megabytes": max(one["peak_megabytes"] for one in runs),
                "runs": runs,
            }
            clock, spent = result[tool]["median_seconds"], result[tool]["median_processor_seconds"]
            print(
                f"  {tool}: {clock:.1f} s, {megabytes / clock:.2f} MB/s; {spent:.1f} s of processor time; "
                f"{runs[-1]['filtered']:,} documents after rules, {runs[-1]['documents']:,} at the end, "
                f"{runs[-1]['tokens']:,} tokens"
            )
    if theirs:
        for kind in ("seconds", "processor_seconds"):
            ratio = result["datatrove"][f"median_{kind}"] / result["ours"][f"median_{kind}"]
            result[f"ratio_of_{kind}"] = ratio
            print(f"  {ratio:.1f} times by {kind.replace('_', ' ')}")
    return result


# -- rules -------------------------------------------------------------------------------------------------------------


def speed(apply: Any, documents: Sequence[tuple[str, dict[str, Any]]], runs: int, seconds: float) -> float:
    """Median MB a second of processor time; a run ends after so many seconds."""
    found = []
    for _ in range(runs):
        started, done = time.process_time(), 0
        for number, (text, fields) in enumerate(documents):
            apply(text, fields)
            done += len(text)
            if number % 64 == 0 and time.process_time() - started > seconds:
                break
        found.append(done / 1e6 / (time.process_time() - started))
    return statistics.median(found)


def rules(chosen: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Every rule alone, the cheap ones together, and what the pipeline itself takes."""
    from pretrial.corpus.pipeline import Pipeline
    from pretrial.corpus.registry import RULES, built, configured

    source = list(code(chosen.data, chosen.code_megabytes))
    page = [(text, {}) for text in prose(chosen.data, chosen.code_megabytes / 4)]
    result: dict[str, Any] = {
        "code": {"megabytes": sum(len(text) for text, _ in source) / 1e6, "documents": len(source)},
        "prose": {"megabytes": sum(len(text) for text, _ in page) / 1e6, "documents": len(page)},
    }

    def pipeline(names: Sequence[str], measures: Sequence[str]) -> Any:
        keep = {name: {"least": 1, "most": None} for name in measures}
        return Pipeline({"keep": keep, "filter": configured(names), "transform": [], "read": {}}).apply

    result["pipeline_without_rules"] = speed(pipeline([], []), source, chosen.runs, 3)
    result["cheap_together"] = speed(pipeline(CHEAP, MEASURES), source, chosen.runs, 30)
    print(f"pipeline without rules {result['pipeline_without_rules']:.0f} MB/s")
    print(f"{', '.join((*CHEAP, *MEASURES))} together {result['cheap_together']:.1f} MB/s a core")
    result["rules"] = {}
    for name in RULES:
        of = "prose" if name in PROSE_RULES else "code"
        rate = speed(built(configured([name]))[0], page if of == "prose" else source, chosen.runs, 1.5)
        result["rules"][name] = {"of": of, "megabytes_per_second": rate}
        print(f"  {name:24} {rate:8.1f} MB/s of {of}", flush=True)
    return result


# -- tokens ------------------------------------------------------------------------------------------------------------


def tokenise_alone(corpus: Path, tokenizer: Path) -> dict[str, Any]:
    """The library on the step's batches of texts, in memory."""
    import pyarrow.parquet as pq
    from tokenizers import Tokenizer

    batches: list[list[str]] = [[]]
    size = 0
    for path in sorted(corpus.glob("shard-*.parquet")):
        for row in pq.read_table(path, columns=["bytes", "text"]).to_pylist():
            batches[-1].append(row["text"])
            size += row["bytes"]
            if size >= 4_000_000:
                batches.append([])
                size = 0
    started, spent = time.perf_counter(), time.process_time()
    library = Tokenizer.from_file(str(tokenizer / "tokenizer.json"))
    for batch in batches:
        library.encode_batch_fast(batch, add_special_tokens=False)
    return {"took": time.perf_counter() - started, "spent": time.process_time() - spent}


def tokenise_step(corpus: Path, tokenizer: Path, work: Path) -> dict[str, Any]:
    """The step, all documents for training."""
    import numpy as np
    import pyarrow as pa

    from pretrial.corpus.iterate import TRAIN
    from pretrial.tokens.shards import tokenise

    # Imports are in neither time: pyarrow imports pandas at its first conversion, where there is one.
    pa.array([0]).to_numpy()
    facts = json.loads((corpus / "facts.json").read_text())
    shutil.rmtree(work, ignore_errors=True)
    select = work / "select"
    select.mkdir(parents=True)
    np.save(select / "0.npy", np.full(facts["documents"], TRAIN, np.uint8))
    inputs = {
        "corpus": Artefact(corpus, facts),
        "select": Artefact(select, {"files": {"x": "0.npy"}}),
        "tokenizer": Artefact(tokenizer, {}),
    }
    started, spent = time.perf_counter(), time.process_time()
    made = tokenise(Context(work / "tokens", {"source": "x", "part": "train"}, inputs))
    return {
        "took": time.perf_counter() - started,
        "spent": time.process_time() - spent,
        "tokens": made["tokens"],
    }


def tokens(chosen: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """The step and the library in turns."""
    documents = list(texts(chosen.data, chosen.token_megabytes))
    facts = write_corpus(folder / "tokens", iter(documents))
    make_tokenizer(folder / "tokenizer-2", documents[::5])
    given = [str(folder / "tokens"), str(folder / "tokenizer-2")]
    result: dict[str, Any] = {"megabytes": facts["bytes"] / 1e6, "documents": facts["documents"], "runs": []}
    for _ in range(chosen.runs):
        alone = timed([sys.executable, __file__, "--tokenise", *given])
        step = timed([sys.executable, __file__, "--tokenise", *given, str(folder / "tokens-work")])
        result["runs"].append({"library": alone, "step": step})
    for kind, name in (("took", "seconds"), ("spent", "processor seconds")):
        middle = {tool: statistics.median(run[tool][kind] for run in result["runs"]) for tool in ("library", "step")}
        share = statistics.median(run["step"][kind] / run["library"][kind] for run in result["runs"])
        result[kind] = middle | {"step_over_library": share}
        print(
            f"tokens of {result['megabytes']:.0f} MB, {name}: library {middle['library']:.2f}, "
            f"step {middle['step']:.2f}, {share:.3f} times",
            flush=True,
        )
    return result


# -- growth ------------------------------------------------------------------------------------------------------------


def grown(data: Path, megabytes: float) -> Iterator[str]:
    """Documents of real corpora, again and again in other words until there are so many megabytes."""
    done, rounds = 0, 0
    while True:
        for number, text in enumerate(texts(data, megabytes if not rounds else 1e9)):
            if rounds and number % 10 == 0:
                text = edited(text, number)
            elif rounds:
                words = text.split(" ")
                words[rounds % 4 :: 4] = [f"{word}{rounds}" for word in words[rounds % 4 :: 4]]
                text = " ".join(words)
            done += len(text.encode())
            yield text
            if done >= megabytes * 1e6:
                return
        rounds += 1
        if done >= megabytes * 0.97e6:
            return


def growth(chosen: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """The part before tokens at growing sizes."""
    found = []
    for size in chosen.sizes:
        files, out = folder / "lines", folder / "run"
        shutil.rmtree(files, ignore_errors=True)
        files.mkdir()
        count = total = 0
        with (files / "all.jsonl").open("w", encoding="utf-8") as file:
            for text in grown(chosen.data, size):
                file.write(json.dumps({"id": str(count), "text": text}) + "\n")
                count, total = count + 1, total + len(text.encode())
        one = timed([sys.executable, __file__, "--steps", str(files), str(out)])
        shutil.rmtree(out)
        shutil.rmtree(files)
        one["kept"] = one.pop("documents")
        found.append({"megabytes": total / 1e6, "documents": count, "load": os.getloadavg()[0], **one})
        stages = ", ".join(f"{name} {seconds:.1f}" for name, seconds in one["stages"].items())
        print(
            f"{total / 1e6:.0f} MB, {count:,} documents: {one['seconds']:.1f} s ({stages}), "
            f"{one['processor_seconds']:.1f} s of processor time, peak {one['peak_megabytes']:.0f} MB",
            flush=True,
        )
    return {"sizes": found}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=os.environ.get("PRETRIAL_DATA"), help="folder of real corpora")
    parser.add_argument("--peer-python", help="Python of an environment with datatrove, spacy and tokenizers")
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--megabytes", type=float, default=20, help="of the corpus that both tools curate")
    parser.add_argument("--code-megabytes", type=float, default=100, help="of code for the rules")
    parser.add_argument("--token-megabytes", type=float, default=100, help="of the corpus that is tokenised")
    parser.add_argument("--sizes", type=float, nargs="*", default=[100, 300, 1000, 2000], help="megabytes of growth")
    parser.add_argument("--results", type=Path, default=Path(__file__).parent / "results")
    parser.add_argument("--steps", type=Path, nargs=2, help=argparse.SUPPRESS)
    parser.add_argument("--tokenizer", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--tokenise", type=Path, nargs="+", help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.steps:
        files, store = chosen.steps
        families = ("gopher", "c4") if chosen.tokenizer else ()
        print(json.dumps(run_steps(str(files / "*.jsonl"), store, families, chosen.tokenizer)))
        return
    if chosen.tokenise:
        print(json.dumps(tokenise_step(*chosen.tokenise) if chosen.tokenise[2:] else tokenise_alone(*chosen.tokenise)))
        return
    if chosen.data is None:
        parser.error("name the folder of real corpora: --data DIR, or set PRETRIAL_DATA")
    chosen.results.mkdir(parents=True, exist_ok=True)
    path = chosen.results / f"{datetime.date.today().isoformat()}-curation.json"
    result: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}
    names = ("daft", "numpy", "pyarrow", "tokenizers")
    result |= {
        "date": datetime.date.today().isoformat(),
        "machine": machine(),
        "versions": {name: importlib.metadata.version(name) for name in names} | {"python": platform.python_version()},
    }
    for part, measure in {"whole": whole, "rules": rules, "tokens": tokens, "growth": growth}.items():
        if part in chosen.only:
            load = os.getloadavg()[0]
            with tempfile.TemporaryDirectory() as name:
                result[part] = {"load_before": load, **measure(chosen, Path(name))}
            path.write_text(json.dumps(result, indent=1) + "\n")
    print(f"written to {path}")


if __name__ == "__main__":
    main()
