"""Ready definitions: what each names, and what a wrong or unusable name says."""

from __future__ import annotations

import subprocess
import sys

import pytest

from pretrial.corpus import spec
from pretrial.corpus.readers.catalogue import DEFINITIONS, check_text, definition, names
from pretrial.corpus.readers.threads import RENDERERS
from pretrial.errors import RequestError
from pretrial.study.schema import Read, Source


def test_every_definition_is_whole() -> None:
    assert len({one.name for one in DEFINITIONS}) == len(DEFINITIONS)
    for one in DEFINITIONS:
        assert one.hub.count("/") == 1
        assert one.license, one.name
        assert bool(one.unusable) != bool(one.patterns and one.text), one.name
        assert not one.render or one.render in RENDERERS
        assert bool(one.parts) == any("{part}" in pattern for pattern in one.patterns)
        # A label that documents are kept by, and the field that groups them, must be among their attributes.
        attributes = {*one.fields, *one.constants}
        assert set(one.keep) <= attributes, one.name
        assert one.group == "document" or one.group in attributes or one.unusable


def test_all_corpora_of_the_paper_are_there() -> None:
    text = definition("slimpajama-text")
    assert text.hub == "cerebras/SlimPajama-627B"
    assert text.fields["subset"] == "meta.redpajama_set_name"
    assert "RedPajamaGithub" not in text.keep["subset"]
    assert "RedPajamaStackExchange" not in text.keep["subset"]
    assert len(text.keep["subset"]) == 5
    assert definition("slimpajama-stackexchange").keep == {"subset": ("RedPajamaStackExchange",)}
    python = definition("the-stack-dedup/python")
    assert python.patterns == ("data/python/*.parquet",)
    assert python.constants == {"kind": "code", "language": "python"}
    assert python.fields["license"] == "max_stars_repo_licenses"
    assert python.gated
    for name in ("starcoderdata-commits", "starcoderdata-notebooks", "starcoderdata-issues"):
        assert definition(name).render == "starcoder"
    assert not definition("fineweb-edu").gated
    assert definition("fineweb-edu/10BT").patterns == ("data/10BT/*.parquet", "sample/10BT/*.parquet")
    assert definition("dclm-baseline").text == "text"


def test_languages_of_one_dataset_each_know_their_files() -> None:
    several = definition("the-stack-dedup", ["C++", "csharp", "jsx", "golang"])
    assert several.languages == {
        "c-sharp": ("data/c-sharp/*.parquet",),
        # Which folder C++ has depends on the version.
        "cpp": ("data/cpp/*.parquet", "data/c++/*.parquet"),
        "go": ("data/go/*.parquet",),
        "jsx": ("data/jsx/*.parquet",),
    }
    assert (several.patterns, several.constants, several.group) == ((), {"kind": "code"}, "repository")
    for part in ("cpp", "c++"):
        one = definition(f"the-stack-dedup/{part}")
        assert (one.patterns, one.constants["language"]) == (several.languages["cpp"], "cpp")
    # The folder that is named is read, whatever the language is called here.
    assert definition("the-stack-dedup/tsx").patterns == ("data/tsx/*.parquet",)
    assert definition("the-stack-dedup/tsx").constants["language"] == "typescript"


def test_the_licence_of_a_collection_is_not_said_of_documents_that_have_their_own() -> None:
    assert definition("the-stack-dedup/go").default_license is None
    assert definition("starcoderdata/go").default_license == "permissive, by file (The Stack v1.2)"
    assert definition("fineweb-edu").default_license == "ODC-BY-1.0"


def test_the_names_say_where_a_part_belongs() -> None:
    assert {"slimpajama-text", "the-stack-dedup/LANGUAGE", "fineweb-edu", "fineweb-edu/CRAWL-OR-SAMPLE"} <= set(names())


@pytest.mark.parametrize(
    "name", ["the-stack-v2", "the-stack-v2-dedup", "the-stack-v2/python", "the-stack-v2-train-smol"]
)
def test_the_stack_v2_says_that_it_holds_no_text_and_what_it_needs(name: str) -> None:
    with pytest.raises(RequestError, match="holds identifiers of Software Heritage") as refused:
        definition(name, where="study.yaml:7")
    assert refused.value.where == "study.yaml:7"
    remedy = str(refused.value.remedy)
    for needed in ("https://huggingface.co/datasets/bigcode/the-stack-v2", "datasets@softwareheritage.org", "smol-ids"):
        assert needed in remedy
    assert "s3://softwareheritage/content/" in remedy


def test_the_stack_v2_by_its_id_says_the_same_before_anything_is_fetched() -> None:
    read = Read("hub", "bigcode/the-stack-v2", {"revision": "a" * 40})
    with pytest.raises(RequestError, match="bigcode/the-stack-v2 holds identifiers of Software Heritage") as refused:
        spec.source_config(Source(read), where="study.yaml:7")
    assert "s3://softwareheritage/content/" in str(refused.value.remedy)
    check_text("bigcode/the-stack-dedup")


WRONG = {
    "slimpyjama": ("no ready definition", "Did you mean slimpajama?"),
    "wikipedia": ("no ready definition", "There are: slimpajama, "),
    "the-stack-dedup": ("needs a language", "Say the-stack-dedup/python"),
    "slimpajama/en": ("has no parts", "Say slimpajama"),
    "the-stack-dedup/../x": ("needs a language", "Say the-stack-dedup/python"),
    "the-stack-dedup/*": ("needs a language", "Say the-stack-dedup/python"),
}


WRONG_LANGUAGES = {
    "fineweb-edu": (["en"], "not laid out by language", "it goes with the-stack-dedup, starcoderdata"),
    "the-stack-dedup/go": (["go"], "names one already", "say the-stack-dedup"),
    "starcoderdata": (["../x"], "is no language", "languages: [python, java]"),
    "starcoderdata-commits": (["python"], "not laid out by language", "keep: {language"),
}


@pytest.mark.parametrize(("name", "says"), WRONG_LANGUAGES.items(), ids=WRONG_LANGUAGES)
def test_languages_that_cannot_be_say_what_can(name: str, says: tuple[list[str], str, str]) -> None:
    languages, what, remedy = says
    with pytest.raises(RequestError, match=what) as refused:
        definition(name, languages, where="study.yaml:7")
    assert remedy in str(refused.value.remedy)
    assert refused.value.where == "study.yaml:7"


@pytest.mark.parametrize(("name", "says"), WRONG.items(), ids=WRONG)
def test_a_wrong_name_says_the_right_one(name: str, says: tuple[str, str]) -> None:
    what, remedy = says
    with pytest.raises(RequestError, match=what) as refused:
        definition(name)
    assert remedy in str(refused.value.remedy)


def test_planning_with_definitions_imports_neither_the_client_nor_arrow() -> None:
    program = (
        "import sys, pretrial.corpus.readers.catalogue as c; c.definition('slimpajama');"
        "print([m for m in ('huggingface_hub', 'pyarrow', 'torch') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
