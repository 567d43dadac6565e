"""The texts of every benchmark whose items must not stand in training documents.

Guarantees: every row of a benchmark's files gives its texts, whether or not it is evaluated; an item's id is the one
that `pretrial.benchmarks.items` gives it (first 16 hex digits of the SHA-256 of its row as JSON, behind its stratum
where it has one); equal rows are one item; the order follows from the files alone. Standard library only to import.
Does not: normalise texts or decide what counts as a match (`index`, `scan`).

A further benchmark is one entry of `BENCHMARKS` and, where its rows have a form of their own, one function from a row
to its texts (`_fields` makes one where each text is a field). Parts: `question` (what is asked; of a cloze text all of
it), `answer` (the true one; wrong choices are left out), `passage` (what a question is about, often taken from a public
page), `solution` and `tests` of a programming problem. A text of kind `prose` is compared by words, one of kind `code`
by its characters without white space, which also suits scripts that do not separate words.
"""

from __future__ import annotations

import csv
import gzip
import io
import json
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pretrial.benchmarks.items import FOLDER, TASKS, choose
from pretrial.errors import RunError

Json = dict[str, Any]
Found = Iterator[tuple[str, str]]
"""(part, text) of a row, in prose or, where the part's name ends in `PROGRAM`, in code."""

PROSE, CODE = "prose", "code"
PARTS = ("question", "answer", "passage", "solution", "tests")
PROGRAM = " as code"


@dataclass(frozen=True)
class Text:
    """One text of one item."""

    benchmark: str
    item: str
    part: str
    text: str
    kind: str


@dataclass(frozen=True)
class Source:
    """A benchmark: its file under the benchmarks' folder, and the texts of a row."""

    name: str
    path: str
    texts: Callable[[Json], Found]


def read_texts(name: str, data_dir: Path) -> Iterator[Text]:
    """Every text of a benchmark, item by item; texts without a letter or digit are left out.

    Raises:
        RunError: for a file or row that is not in the expected form.
    """
    source = BENCHMARKS[name]
    path = file_of(name, data_dir)
    for item, row in _items(name, path, sys.maxsize):
        try:
            found = [(part, text) for part, text in source.texts(row) if any(map(str.isalnum, text))]
        except (AttributeError, KeyError, IndexError, TypeError, ValueError) as error:
            raise RunError(
                f"a row of the benchmark {name} is not in the expected form: {str(row)[:200]}", where=str(path)
            ) from error
        for part, text in dict.fromkeys(found):
            kind = CODE if part.endswith(PROGRAM) else PROSE
            yield Text(name, item, part.removesuffix(PROGRAM), text, kind)


def item_ids(name: str, data_dir: Path, items: int) -> list[str]:
    """Ids of those of a benchmark's items that are evaluated where at most so many are."""
    return [item for item, _ in _items(name, file_of(name, data_dir), items)]


def _items(name: str, path: Path, items: int) -> Iterator[tuple[str, Json]]:
    """(id, row) of at most so many items of a benchmark."""
    stratum = TASKS[name].stratum if name in TASKS else None
    rows = ({key: value for key, value in row.items() if key is not None} for row in _rows(path))
    for digest, row in choose(rows, items, stratum):
        yield f"{row[stratum]}/{digest[:16]}" if stratum else digest[:16], row


def file_of(name: str, data_dir: Path) -> Path:
    """Where a benchmark's file lies."""
    return Path(data_dir) / FOLDER / BENCHMARKS[name].path


def _rows(path: Path) -> Iterator[Json]:
    """Rows of a `.jsonl`, `.json` (a list, or a map whose values are the rows) or `.csv` file, packed or not."""
    data = path.read_bytes()
    name = path.name
    if name.endswith(".gz"):
        data, name = gzip.decompress(data), name.removesuffix(".gz")
    elif name.endswith(".zst"):
        import zstandard

        with zstandard.ZstdDecompressor().stream_reader(io.BytesIO(data)) as reader:
            data, name = reader.read(), name.removesuffix(".zst")
    try:
        text = data.decode("utf-8-sig")
        if name.endswith(".csv"):
            yield from csv.DictReader(io.StringIO(text, newline=""))
            return
        whole = json.loads(text) if name.endswith(".json") else map(json.loads, filter(str.strip, text.split("\n")))
        for row in whole.values() if isinstance(whole, Mapping) else whole:
            if not isinstance(row, dict):
                raise ValueError("a row that is not an object")
            yield row
    except ValueError as error:
        raise RunError(f"a benchmark's file cannot be read: {error}", where=str(path)) from error


# -- from a row to its texts ---------------------------------------------------------------------------------


def _fields(**names: str) -> Callable[[Json], Found]:
    """The texts of rows that hold each in a field of its own: the names of the fields by part."""

    def found(row: Json) -> Found:
        for part, name in names.items():
            yield part, row[name]

    return found


def _asked(text: str) -> str:
    """A question without the words that a prompt puts around it."""
    return text.removeprefix("Question: ").removesuffix("\nAnswer:").strip()


def _choice(row: Json) -> Found:
    yield "question", _asked(row["query"])
    yield "answer", row["choices"][row["gold"]]


def _lambada(row: Json) -> Found:
    yield "question", f"{row['context']} {row['continuation']}"


def _hellaswag(row: Json) -> Found:
    _, _, context = row["query"].partition(": ")
    yield "question", context
    yield "answer", row["choices"][row["gold"]]


def _winogrande(row: Json) -> Found:
    # As it is published, with a blank, and as it is read to a model, with either name.
    for option in ("", row["option1"], row["option2"]):
        yield "question", row["sentence"].replace("_", option)


def _winograd(row: Json) -> Found:
    yield "question", f"{row['context_options'][row['gold']]} {row['continuation']}"


def _socialiqa(row: Json) -> Found:
    yield "question", f"{row['context']} {row['question']}"
    yield "answer", row["answer" + "ABC"[int(row["label"]) - 1]]


def _copa(row: Json) -> Found:
    yield "question", row["premise"]
    yield "answer", row["choice2" if row["label"] else "choice1"]


def _boolq(row: Json) -> Found:
    # Yes and no stand near everything: the answer is left out.
    passage, _, question = row["query"].removeprefix("Passage: ").rpartition("\nQuestion: ")
    yield "passage", passage
    yield "question", question


def _squad(row: Json) -> Found:
    passage, _, question = row["query"].partition("\nBackground: ")[2].rpartition("\nQuestion: ")
    yield "passage", passage
    yield "question", _asked(question)
    yield "answer", row["choices"][0]


def _coqa(row: Json) -> Found:
    yield "passage", row["story"]
    yield "question", row["question"]
    yield "answer", row["choices"][0]


def _drop(row: Json) -> Found:
    yield "passage", row["passage"]
    yield "question", row["question"]
    yield "answer", " ".join(row["answers"][0])


def _triviaqa(row: Json) -> Found:
    yield "question", _asked(row["context"])
    yield "answer", row["answer"]


def _nq_open(row: Json) -> Found:
    yield "question", row["question"]
    for answer in row["answer"]:
        yield "answer", answer


def _jeopardy(row: Json) -> Found:
    yield "question", row["context"].partition(": ")[2]
    yield "answer", row["continuation"]


def _mmlu(row: Json) -> Found:
    yield "question", row["question"]
    yield "answer", row["choices"][row["answer"]]


def _gsm8k(row: Json) -> Found:
    yield "question", row["question"]
    reasoning = row["answer"].partition("\n#### ")[0]
    # With the calculator's marks, as published, and without, as most copies have it.
    yield "answer", reasoning
    yield "answer", re.sub(r"<<[^>]*>>", "", reasoning)


def _problem(row: Json) -> Found:
    """HumanEval's form. The description is compared as prose too: a port to another language keeps its words."""
    yield "question" + PROGRAM, row["prompt"]
    quoted = re.search(r'"""(.*?)"""|\'\'\'(.*?)\'\'\'', row["prompt"], re.DOTALL)
    if quoted:
        yield "question", re.split(r">>>|\n\s*(?:For )?[Ee]xamples?\b", quoted[1] or quoted[2] or "")[0]
    yield "solution" + PROGRAM, row["canonical_solution"]
    # HumanEval+ and MBPP+ add megabytes of generated tests; what they start from is HumanEval's and MBPP's own.
    yield "tests" + PROGRAM, row.get("assertion") or (row.get("test", "") if "plus_input" not in row else "")


def _port(row: Json) -> Found:
    """HumanEval and MBPP in other languages: the description stands in a comment, whose marks are no words."""
    yield "question" + PROGRAM, row["prompt"]
    yield "question", row["prompt"]
    yield "solution" + PROGRAM, row.get("canonical_solution", "")
    yield "tests" + PROGRAM, row["tests"] if "tests" in row else row["test"]


def _mbpp(row: Json) -> Found:
    yield "question", row["text"] if "text" in row else row["prompt"]
    yield "solution" + PROGRAM, row["code"]
    yield "tests" + PROGRAM, "\n".join(row["test_list"])


def _odex(row: Json) -> Found:
    yield "question", row["intent"]
    yield "solution" + PROGRAM, row["canonical_solution"]
    yield "tests" + PROGRAM, "".join(row["test"])


def _cruxeval(row: Json) -> Found:
    yield "question" + PROGRAM, row["code"]
    yield "answer" + PROGRAM, f"{row['input']} {row['output']}"


def _classeval(row: Json) -> Found:
    yield "question" + PROGRAM, row["skeleton"]
    yield "solution" + PROGRAM, row["solution_code"]
    yield "tests" + PROGRAM, row["test"]


# Most sentences are too short to tell anything alone; the pair side by side does.
_blimp = _fields(question="sentence_good", answer="sentence_bad")
_entailment = _fields(passage="premise", question="hypothesis")
_sciq = _fields(question="question", answer="correct_answer", passage="support")
_truthfulqa = _fields(question="Question", answer="Best Answer")
_math = _fields(question="context", answer="chain_of_thought")
_instruction = _fields(question="instruction", answer="response")

_FOUNDRY = "llm_foundry"
_MULTIPL_E = "cpp cs d go java jl js lua php pl r rb rkt rs scala sh swift ts"

BENCHMARKS: dict[str, Source] = {
    source.name: source
    for source in (
        Source("piqa", TASKS["piqa"].path, _choice),
        Source("arc_easy", TASKS["arc_easy"].path, _choice),
        Source("lambada", TASKS["lambada"].path, _lambada),
        Source("blimp", TASKS["blimp"].path, _blimp),
        Source("arc_challenge", f"{_FOUNDRY}/world_knowledge/arc_challenge.jsonl.zst", _choice),
        Source("openbookqa", "olmes/openbookqa_test.jsonl", _choice),
        Source("commonsense_qa", "olmes/commonsense_qa_val.jsonl.zst", _choice),
        Source("hellaswag", "olmes/hellaswag_val_sample.jsonl.zst", _hellaswag),
        Source("winogrande", "olmes/winogrande_val.jsonl.zst", _winogrande),
        Source("winograd", f"{_FOUNDRY}/language_understanding/winograd_wsc.jsonl", _winograd),
        Source("socialiqa", "olmes/socialiqa_val.jsonl.zst", _socialiqa),
        Source("copa", "olmes/superglue_copa_val.jsonl", _copa),
        Source("cb", "olmes/superglue_cb_val.jsonl", _entailment),
        Source("sciq", "olmes/sciq_val.jsonl.zst", _sciq),
        Source("boolq", f"{_FOUNDRY}/reading_comprehension/boolq.jsonl.zst", _boolq),
        Source("squad", "olmes/squad_dev_1000.jsonl.zst", _squad),
        Source("coqa", "olmes/coqa_dev_turns.jsonl.zst", _coqa),
        Source("drop", "olmes/drop_dev_1000.jsonl.zst", _drop),
        Source("triviaqa", f"{_FOUNDRY}/world_knowledge/triviaqa_sm_sub.jsonl.zst", _triviaqa),
        Source("nq_open", "nq_open/NQ-open.dev.jsonl.zst", _nq_open),
        Source("jeopardy", f"{_FOUNDRY}/world_knowledge/jeopardy_all.jsonl.zst", _jeopardy),
        Source("mmlu", "mmlu/mmlu_test.jsonl.zst", _mmlu),
        Source("truthfulqa", "truthfulqa/TruthfulQA.csv.zst", _truthfulqa),
        Source("gsm8k", "gsm8k/test.jsonl.zst", _gsm8k),
        Source("math", f"{_FOUNDRY}/symbolic_problem_solving/math.jsonl.zst", _math),
        Source("dolly", "generation_prompts/dolly_1000.jsonl.zst", _instruction),
        Source("humaneval", "code/HumanEval.jsonl.gz", _problem),
        Source("humaneval_plus", "code/HumanEvalPlus.jsonl.gz", _problem),
        Source("mbpp", "code/mbpp.jsonl.zst", _mbpp),
        Source("mbpp_sanitized", "code/sanitized-mbpp.json", _mbpp),
        Source("mbpp_plus", "code/MbppPlus.jsonl.zst", _problem),
        *(
            Source(f"humaneval_x_{language}", f"code/humaneval_x/humaneval_{language}.jsonl.gz", _port)
            for language in ("cpp", "go", "java", "js", "rust")
        ),
        *(
            Source(f"multipl_e_{base}_{language}", f"code/multipl_e/{base}-{language}.jsonl.zst", _port)
            for base in ("humaneval", "mbpp")
            for language in _MULTIPL_E.split()
        ),
        Source("odex", "code/odex_en_test.jsonl.zst", _odex),
        Source("cruxeval", "code/cruxeval.jsonl", _cruxeval),
        Source("classeval", "code/ClassEval_data.json.zst", _classeval),
    )
}
