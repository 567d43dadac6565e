"""Every kind of reading says where a document comes from, in traces and on cards."""

from __future__ import annotations

import hashlib
import json
import zipfile
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import seen
import smoke
from pretrial.inspecting.corpora import Corpora
from pretrial.inspecting.rows import read_rows
from pretrial.inspecting.trace import origin
from seen import Seen

SOURCES = """\
  mail:    {read: {jsonl: mail.jsonl}}
  web:     {read: {jsonl: mail.jsonl}}
  code:    {read: {files: code, languages: [python]}}
  zip:     {read: {archives: 'packed*.zip', languages: [python]}}
  git:     {read: {git: repository, languages: [python]}}
  commits: {read: {commits: repository}}
  topics:  {read: {pydoc: topics}}
  filler:  {read: {filler: dyck, size: 5 KB, seed: 7}}
  hub:     {read: {hub: ./dataset, text: body}}
"""


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Corpora:
    folder = tmp_path_factory.mktemp("origins")
    head, rest = seen.STUDY.split("  mail:")[0], seen.STUDY[seen.STUDY.index("\nmixtures:") :]
    text = (head + SOURCES + rest).replace(", piqa", "").replace("web: 4/5, tiny: 1/5", "web: 100%")
    (folder / "seen.yaml").write_text(text.replace("seeds: 2", "seeds: 2\nnear-duplicates: none"), encoding="utf-8")
    (folder / "data").mkdir()
    lines = [json.dumps({"text": smoke.prose(i)}) for i in range(5)]
    (folder / "mail.jsonl").write_text("\n".join(lines))
    (folder / "code").mkdir()
    (folder / "code/one.py").write_text(smoke.code(1))
    for name in ("packed", "packed-more"):
        with zipfile.ZipFile(folder / f"{name}.zip", "w") as archive:
            archive.writestr("inner/two.py", smoke.code(2))
    _repository(folder / "repository")
    (folder / "dataset").mkdir()
    pq.write_table(pa.table({"body": [smoke.prose(9)]}), folder / "dataset/train-00000-of-00001.parquet")
    with seen.quiet():
        trial = Seen(folder).trial()
        names = list(trial.study.sources)
        result = trial.build_corpora(names, workers=1, quiet=True)
        assert not result.failures, result.failures
        corpora: Corpora = trial.corpora()
    return corpora


def _repository(folder: Path) -> None:
    from dulwich import porcelain

    folder.mkdir()
    repository = porcelain.init(str(folder))
    (folder / "three.py").write_text(smoke.code(3))
    porcelain.add(repository, [str(folder / "three.py")])
    porcelain.commit(repository, message=b"The third function", author=b"A <a@b.example>", committer=b"A <a@b.example>")
    repository.close()


def _of(corpora: Corpora, source: str) -> tuple[dict[str, Any], dict[str, Any]]:
    (document,) = read_rows(corpora.corpus(source), [0], ["id", "meta"])
    return origin(corpora, source, 0, document), json.loads(document["meta"])


def _sha(corpora: Corpora, name: str) -> str:
    return hashlib.sha256((Path(corpora.study.folder or "") / name).read_bytes()).hexdigest()


def test_files_are_named_with_their_hash(built: Corpora) -> None:
    for source, name in (("mail", "mail.jsonl"), ("code", "code/one.py")):
        said, _ = _of(built, source)
        assert said == {"kind": "file", "name": name, "sha256": _sha(built, name)}


def test_what_lies_in_an_archive_is_named_with_it(built: Corpora) -> None:
    documents = read_rows(built.corpus("zip"), [0, 1], ["id", "meta"])
    for row, (document, name) in enumerate(zip(documents, ("packed-more.zip", "packed.zip"), strict=True)):
        said = origin(built, "zip", row, document)
        assert (said["kind"], said["name"], said["path"]) == ("archive", name, "inner/two.py")
        assert said["sha256"] == _sha(built, name)


def test_repositories_are_named_with_their_revision(built: Corpora) -> None:
    from dulwich.repo import Repo

    head = Repo(str(Path(built.study.folder or "") / "repository")).head().decode()
    git, _ = _of(built, "git")
    assert git == {"kind": "repository", "name": "repository", "revision": head, "path": "three.py"}
    commit, _ = _of(built, "commits")
    assert (commit["kind"], commit["revision"]) == ("repository", head)
    for source in ("git", "commits"):
        assert f"| repository | {head} |" in built.card(source)


def test_the_installation_is_named_with_its_version(built: Corpora) -> None:
    import platform

    said, _ = _of(built, "topics")
    assert said["kind"] == "installation"
    assert said["revision"] == platform.python_version()
    assert f"Python {platform.python_version()}" in built.card("topics")


def test_what_was_made_is_named_with_its_seed(built: Corpora) -> None:
    assert _of(built, "filler")[0] == {"kind": "made", "name": "dyck", "seed": 7}
    assert "Made by Pretrial: dyck, seed 7." in built.card("filler")


def test_a_dataset_is_named_with_its_file(built: Corpora) -> None:
    said, _ = _of(built, "hub")
    assert said["kind"] == "dataset"
    assert said["name"].endswith("train-00000-of-00001.parquet")
    assert said["digest"] in built.card("hub")


def test_no_card_names_a_place_of_this_machine(built: Corpora) -> None:
    for source in built.study.sources:
        assert str(built.study.folder) not in built.card(source)
