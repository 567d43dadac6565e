"""The steps that make a study's text: snapshots, corpora, what of them may train, the tokenizer, token files.

Guarantees: every step stands after its inputs; a derived source that nothing uses is not made; no path bears identity,
files are known by their bytes.

Does not: know variants and seeds, which all share these steps, or check what evaluating a benchmark needs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pretrial.benchmarks.items import TASKS as BENCHMARKS
from pretrial.corpus import spec as corpus
from pretrial.corpus.contamination import spec as contamination
from pretrial.corpus.near import spec as near
from pretrial.errors import RequestError
from pretrial.plan.steps import Step
from pretrial.store.artefacts import FileHashes
from pretrial.store.identity import fingerprint
from pretrial.study.schema import Study
from pretrial.tokens import spec as tokens


@dataclass(frozen=True)
class Corpora:
    """Steps by name, every step after its inputs; `scans` look for benchmark items in sources that are trained on."""

    steps: dict[str, Step]
    scans: tuple[str, ...]


def corpora(study: Study, data: Path | None, hashes: FileHashes) -> Corpora:
    """The steps from what a study reads to its token files; `data` is the folder of real data.

    Raises:
        RequestError: for files that the study needs and that are not there.
    """
    return _Builder(study, data, hashes).build()


def vocabulary_of(study: Study, data: Path | None) -> int:
    """Ids of the study's tokenizer: as many as it asks for, or as its file has.

    Raises:
        RequestError: where the file is not there, or is no tokenizer.
    """
    request = study.tokenizer
    if request.train is not None:
        return request.train.vocabulary
    return tokens.vocabulary_of(_tokenizer_file(study, data))


class _Builder:
    def __init__(self, study: Study, data: Path | None, hashes: FileHashes) -> None:
        self.study = study
        self.data = data
        self.hashes = hashes
        self.steps: dict[str, Step] = {}
        self.scans: tuple[str, ...] = ()

    def build(self) -> Corpora:
        self._corpora()
        self._tokens()
        return Corpora(self.steps, self.scans)

    def _add(self, step: Step) -> str:
        self.steps.setdefault(step.name, step)
        return step.name

    def _corpora(self) -> None:
        study = self.study
        folder = Path(study.folder) if study.folder else Path.cwd()
        made = study.made_sources
        trained = {study.root(source) for source in study.trained_sources}
        for name in (name for name in _parents_first(study) if name in made):
            source = study.sources[name]
            where = study.where(f"sources.{name}.read")
            config = corpus.source_config(source, where=where)
            settings = corpus.source_settings(source, self.data, folder, name=name, where=where)
            snapshot = corpus.snapshot_config(config)
            inputs = {} if source.parent is None else {"parent": f"corpus {source.parent}"}
            if snapshot is not None:
                # Sources that read the same of the installation share the step.
                inputs["snapshot"] = self._add(
                    Step(
                        name=f"snapshot {fingerprint(snapshot)[:6]} of {snapshot['kind']}",
                        kind="snapshot",
                        version=corpus.SEMANTICS["snapshot"],
                        function="pretrial.corpus.snapshot:take_snapshot",
                        config=snapshot,
                        settings={"state": corpus.installed_state()},
                        changeable=True,
                        group="corpora",
                    )
                )
            files = corpus.input_fingerprint(config, settings, self.hashes)
            if name in trained:
                corpus.check_groups(config, files, settings)
            self._add(
                Step(
                    name=f"corpus {name}",
                    kind="corpus",
                    version=corpus.SEMANTICS["corpus"],
                    function="pretrial.corpus.read:read_corpus",
                    config=corpus.corpus_config(config, files),
                    settings=settings,
                    inputs=inputs,
                    group="corpora",
                    about={"source": name},
                )
            )
        self._add(
            Step(
                name="selection of documents",
                kind="select",
                version=corpus.SEMANTICS["select"],
                function="pretrial.corpus.select:select_documents",
                config=corpus.select_config(
                    list(made),
                    set(study.trained_sources),
                    study.roots,
                    study.transfer_sources,
                ),
                settings={"where": {name: study.where(f"sources.{name}") for name in study.sources}},
                inputs={
                    **{f"corpus:{name}": f"corpus {name}" for name in made},
                    **self._near_duplicates(),
                    **self._contamination(),
                },
                group="corpora",
            )
        )

    def _near_duplicates(self) -> dict[str, str]:
        """The search for near-duplicates over all sources that are read, as an input."""
        asked = self.study.near_duplicates
        if asked is None:
            return {}
        chosen = near.settings(asked.threshold, asked.words)
        sources = self.study.sources
        read = [name for name, source in sources.items() if source.parent is None]
        found = {"near": self._search("near-duplicates", read, chosen)}
        learned = self.study.tokenizer.train
        # The tokenizer must not see held-out text either.
        used = {*self.study.trained_sources, *self.study.transfer_sources, *(learned.shares if learned else ())}
        edited = [name for name in sources if name in used and self._edited(name)]
        if edited:
            # Texts that became alike: what is held out must not train in another state. Two searches, so that another
            # transform does not cost the one over all that is read.
            found["near-edited"] = self._search("near-duplicates among edited sources", [*read, *edited], chosen)
        return found

    def _edited(self, name: str) -> bool:
        """Whether a source is derived and its texts, or its parent's, were changed."""
        source = self.study.sources[name]
        if source.parent is None:
            return False
        return corpus.is_edited(source) or self._edited(source.parent)

    def _search(self, name: str, among: Sequence[str], chosen: near.Settings) -> str:
        inputs: dict[str, str] = {}
        for source in among:
            inputs[f"corpus:{source}"] = f"corpus {source}"
            inputs[f"signatures:{source}"] = self._add(
                Step(
                    name=f"signatures of {source}",
                    kind="near-signatures",
                    version=near.SEMANTICS["near-signatures"],
                    function="pretrial.corpus.near.signatures:sign_corpus",
                    config=near.signature_config(chosen),
                    inputs={"corpus": f"corpus {source}"},
                    group="corpora",
                    about={"source": source},
                )
            )
        return self._add(
            Step(
                name=name,
                kind="near-duplicates",
                version=near.SEMANTICS["near-duplicates"],
                function="pretrial.corpus.near.clusters:find_near_duplicates",
                config=near.near_config(chosen, among),
                inputs=inputs,
                group="corpora",
            )
        )

    def _contamination(self) -> dict[str, str]:
        """Items of the benchmarks that are evaluated or named, as inputs.

        They are looked for in what is read of each source that is trained on, and where rules or transforms edited it
        in what they made of it, too: what comes between the words of an item may have been taken out.
        """
        study = self.study
        bench = [*(task for task in study.evaluate.tasks if task in BENCHMARKS), *study.decontaminate_also]
        if not bench:
            return {}
        where = study.where("decontaminate" if study.decontaminate_also else "evaluate")
        config = contamination.index_config(bench, self.data, digest=self.hashes.hash, where=where)
        assert self.data is not None  # Without it there is no configuration.
        index = self._add(
            Step(
                name="benchmark texts",
                kind="contamination-index",
                version=contamination.SEMANTICS["contamination-index"],
                function=contamination.FUNCTIONS["contamination-index"],
                config=config,
                settings=contamination.index_settings(self.data),
                group="corpora",
            )
        )
        inputs: dict[str, str] = {}
        edited = [source for source in study.trained_sources if self._edited(source)]
        for name in dict.fromkeys((*(study.root(source) for source in study.trained_sources), *edited)):
            inputs[f"contamination:{name}"] = self._add(
                Step(
                    name=f"benchmark items in {name}",
                    kind="contamination",
                    version=contamination.SEMANTICS["contamination"],
                    function=contamination.FUNCTIONS["contamination"],
                    config=contamination.scan_config(),
                    inputs={"corpus": f"corpus {name}", "index": index},
                    group="corpora",
                    about={"source": name},
                )
            )
        # Also where they stay, it is counted which arm has which.
        self.scans = tuple(inputs.values())
        return inputs if study.decontaminate else {}

    def _tokens(self) -> None:
        study = self.study
        request = study.tokenizer
        if request.train is not None:
            shares = request.train.shares
            self._add(
                Step(
                    name="tokenizer",
                    kind="tokenizer",
                    version=tokens.SEMANTICS["tokenizer"],
                    function="pretrial.tokens.tokenizer:train_tokenizer",
                    config={
                        "vocabulary": request.train.vocabulary,
                        "shares": {name: [s.numerator, s.denominator] for name, s in shares.items()},
                        "sample_bytes": tokens.SAMPLE_BYTES,
                    },
                    inputs={
                        "select": "selection of documents",
                        **{f"corpus:{name}": f"corpus {name}" for name in shares},
                    },
                    parts={"select": tuple(shares), **{f"corpus:{name}": ("documents",) for name in shares}},
                    group="tokens",
                )
            )
        else:
            path = _tokenizer_file(study, self.data)
            self._add(
                Step(
                    name="tokenizer",
                    kind="tokenizer",
                    version=tokens.SEMANTICS["tokenizer"],
                    function="pretrial.tokens.tokenizer:import_tokenizer",
                    config={"sha256": self.hashes.hash(path)},
                    settings={"file": str(path)},
                    group="tokens",
                )
            )
        for name in (*study.trained_sources, *study.transfer_sources):
            for part in ("train", "held-out") if name in study.trained_sources else ("held-out",):
                self._add(
                    Step(
                        name=f"tokens of {name} ({part})",
                        kind="tokens",
                        version=tokens.SEMANTICS["tokens"],
                        function="pretrial.tokens.shards:tokenise",
                        config={"source": name, "part": part},
                        inputs={
                            "corpus": f"corpus {name}",
                            "select": "selection of documents",
                            "tokenizer": "tokenizer",
                        },
                        parts={"select": (name,), "corpus": ("documents",)},
                        group="tokens",
                        about={"source": name, "part": part},
                    )
                )


def _tokenizer_file(study: Study, data: Path | None) -> Path:
    named = study.tokenizer.file or ""
    where = study.where("tokenizer.file")
    if named.startswith("{data}"):
        if data is None:
            raise RequestError(
                f"{named} lies in the data folder, and none was named",
                where=where,
                remedy="Name it: --data DIR, or set PRETRIAL_DATA.",
            )
        path = data / named.removeprefix("{data}").lstrip("/")
    else:
        path = Path(study.folder or ".") / Path(named).expanduser()
    if not path.is_file():
        raise RequestError(
            f"the tokenizer file {path} is not there",
            where=where,
            remedy="Name a tokenizer.json in the format of the tokenizers library.",
        )
    return path


def _parents_first(study: Study) -> list[str]:
    """The sources, each after the one that it is made from; else in the order of the study."""
    ordered: dict[str, None] = {}
    for name in study.sources:
        line, at = [name], study.sources[name].parent
        while at is not None:
            line.append(at)
            at = study.sources[at].parent
        ordered.update(dict.fromkeys(reversed(line)))
    return list(ordered)
