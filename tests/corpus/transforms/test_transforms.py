"""A transform changes one property of a document, the same way every time, and nothing it does not know."""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pretrial.corpus.comments import LANGUAGES, comment_share, spans, without_comments
from pretrial.corpus.languages import CODE
from pretrial.corpus.readers.filler import DOCUMENT_BYTES, KINDS, documents_of, read_filler
from pretrial.corpus.readers.record import Record
from pretrial.corpus.transforms import TRANSFORMS
from pretrial.corpus.transforms.code import DropDocstrings, RenameIdentifiers, ShuffleLines, StripComments

MODULES = [textwrap, inspect, ast]


def test_every_code_language_of_the_paper_has_its_comments() -> None:
    assert set(CODE) <= set(LANGUAGES)


@pytest.mark.parametrize(
    ("language", "text", "bare"),
    [
        ("python", "#!/bin/x\nx = 1  # a\n# b\n\ny = '# no'\n", "#!/bin/x\nx = 1\n\ny = '# no'\n"),
        ("python", '"""doc # no\n"""\nx = "\\"# no"  # yes\n', '"""doc # no\n"""\nx = "\\"# no"\n'),
        ("c", 'a /* b */ c; // d\n/* x\n y */\nq = \'"\'; // "e\ns = "//";\n', 'a c;\nq = \'"\';\ns = "//";\n'),
        ("c", "int a; /* never closed\nb", "int a;"),
        ("java", 'String s = """\n// no\n"""; // yes\n', 'String s = """\n// no\n""";\n'),
        ("javascript", "let a = `// ${b} no`; // yes\n", "let a = `// ${b} no`;\n"),
        ("rust", "let c = '\"'; // a\nlet l: &'a str = \"//\";\n", "let c = '\"';\nlet l: &'a str = \"//\";\n"),
        ("sql", "select '--no' -- yes\nfrom t /* u */;\n", "select '--no'\nfrom t ;\n"),
        ("lua", "x = 1 --[[ a\n b ]] y = 2 -- c\nz = [[ -- no ]]\n", "x = 1\ny = 2\nz = [[ -- no ]]\n"),
        ("haskell", "f x = x --> y\n{- a\n-}\ng = 1 -- b\n", "f x = x --> y\ng = 1\n"),
        ("shell", "echo $# ${#a} # yes\ncat 'a # no'\n", "echo $# ${#a}\ncat 'a # no'\n"),
        ("tex", "50\\% of % yes\nrest\n", "50\\% of\nrest\n"),
        ("clojure", '(a ";no") ; yes\n', '(a ";no")\n'),
        ("smalltalk", "x := 'a \"no\"' \"yes\".\n", "x := 'a \"no\"' .\n"),
        ("ruby", "a = \"#{b} # no\" # yes\n=begin\nx\n=end\nc\n", "a = \"#{b} # no\"\nc\n"),
        ("php", "$a = '//'; # yes\n#[Attribute]\n", "$a = '//';\n#[Attribute]\n"),
        ("html", "<p>a<!-- b -->c</p>\n", "<p>a c</p>\n"),
        ("c-sharp", 'var p = @"c:\\"; // yes\n', 'var p = @"c:\\";\n'),
        ("go", "a := `// no`\nb := '\"' // yes\n", "a := `// no`\nb := '\"'\n"),
    ],
)  # fmt: skip
def test_comments_go_and_strings_stay(language: str, text: str, bare: str) -> None:
    assert without_comments(text, language) == bare
    assert without_comments(bare, language) == bare


@pytest.mark.parametrize("module", MODULES)
def test_python_without_comments_is_the_same_program(module: Any) -> None:
    text = inspect.getsource(module)
    bare = StripComments()(text, {"language": "python"}).text
    assert "# " not in "".join(bare[b:e] for kind, b, e in spans(bare, "python") if kind == "comment")
    assert ast.dump(ast.parse(bare)) == ast.dump(ast.parse(text))
    assert 0 < comment_share(text, "python") < 0.5
    assert comment_share(bare, "python") == 0


@given(st.text(alphabet="\"'`/*#-\\\n ax<>![](){}=%;R@", max_size=80), st.sampled_from(sorted(LANGUAGES)))
def test_spans_are_in_order_and_do_not_overlap(text: str, language: str) -> None:
    at = 0
    for _, begin, end in spans(text, language):
        assert at <= begin < end <= len(text)
        at = end
    without_comments(text, language)


@pytest.mark.parametrize("language", sorted(LANGUAGES))
@pytest.mark.parametrize("piece", ['"', "'", "/*", "#", "\\", '"""', "`\\", "--[[", "{-", "<!--", "<!--\\"])
def test_hostile_code_takes_time_in_proportion(language: str, piece: str) -> None:
    """Counts steps, not seconds: a scan that starts anew at each mark would take hours here."""
    without_comments(piece * 20_000, language)


@pytest.mark.parametrize("module", MODULES)
def test_docstrings_go_and_the_rest_parses(module: Any) -> None:
    text = inspect.getsource(module)
    bare = DropDocstrings()(text, {"language": "python"})
    assert ast.get_docstring(ast.parse(bare.text)) is None
    assert bare.removed["docstrings"] == len(text.encode()) - len(bare.text.encode())


@pytest.mark.parametrize("module", MODULES)
def test_names_lose_their_meaning_and_nothing_else(module: Any) -> None:
    text = inspect.getsource(module)
    renamed = RenameIdentifiers()(text, {"language": "python"})

    def shape(tree: ast.AST) -> list[str]:
        return [type(node).__name__ for node in ast.walk(tree)]

    before, after = ast.parse(text), ast.parse(renamed.text)
    assert shape(before) == shape(after)
    pairs = {
        (old.id, new.id)
        for old, new in zip(ast.walk(before), ast.walk(after), strict=True)
        if isinstance(old, ast.Name) and isinstance(new, ast.Name)
    }
    assert len({old for old, _ in pairs}) == len(pairs) == len({new for _, new in pairs}), "one new name for each"
    assert len({new for old, new in pairs if old != new}) > 20
    constants = [n.value for n in ast.walk(before) if isinstance(n, ast.Constant)]
    assert [n.value for n in ast.walk(after) if isinstance(n, ast.Constant)] == constants


def test_members_of_others_keep_their_names() -> None:
    text = "import os\n\ndef run(path):\n    return os.path.join(path, run.depth) + len(v1)\n"
    renamed = RenameIdentifiers()(text, {"language": "python"}).text
    assert "os." in renamed
    assert ".join(" in renamed
    assert "len(" in renamed
    assert "run" not in renamed


@pytest.mark.parametrize(
    "language", ["java", "c", "javascript", "go", "rust", "haskell", "ruby", "shell", "c-sharp", "jsx"]
)
def test_renaming_knows_other_languages(language: str) -> None:
    text = "total = compute(total, other);\n"
    renamed = RenameIdentifiers()(text, {"language": language})
    assert not renamed.dropped
    assert renamed.text.count("=") == 1


@given(st.text(max_size=200))
def test_shuffling_keeps_every_line(text: str) -> None:
    shuffled = ShuffleLines()(text, {}).text
    assert Counter(shuffled.split("\n")) == Counter(text.split("\n"))
    assert ShuffleLines()(text, {}).text == shuffled


def test_shuffling_is_the_same_everywhere() -> None:
    assert ShuffleLines()("\n".join("abcdef") + "\n", {}).text == "e\nd\nf\nc\nb\na\n"


@pytest.mark.parametrize("name", sorted(set(TRANSFORMS) - {"shuffle-lines"}))
def test_what_cannot_be_transformed_is_dropped_and_never_passed_on(name: str) -> None:
    result = TRANSFORMS[name]()("some text", {"language": "klingon"})
    assert (result.reason, result.value) == ("language", "klingon")


def test_a_file_of_comments_alone_goes() -> None:
    assert StripComments()("# a\n# b\n", {"language": "python"}).reason == "only-comments"
    assert DropDocstrings()('"""a"""\n', {"language": "python"}).reason == "only-docstrings"
    assert DropDocstrings()("def (", {"language": "python"}).reason == "unparsable"


@pytest.mark.parametrize("kind", KINDS)
def test_filler_is_the_same_for_any_cut(kind: str) -> None:
    whole = [item for item in read_filler(kind, 1, 0, 6) if isinstance(item, Record)]
    parts = [*read_filler(kind, 1, 0, 2), *read_filler(kind, 1, 2, 4)]
    assert whole == parts
    assert len({item.text for item in whole}) == 6
    assert all(DOCUMENT_BYTES - 8 <= len(item.text.encode()) <= DOCUMENT_BYTES for item in whole)
    assert whole[0].text != next(iter(read_filler(kind, 2, 0, 1))).text  # type: ignore[union-attr]
    assert documents_of(DOCUMENT_BYTES + 1) == 2


def test_brackets_balance() -> None:
    for item in read_filler("dyck", 3, 0, 20):
        assert isinstance(item, Record)
        stack: list[str] = []
        deepest = 0
        for character in item.text.rstrip("\n"):
            if character in "([{<":
                stack.append(character)
                deepest = max(deepest, len(stack))
            else:
                assert "([{<".index(stack.pop()) == ")]}>".index(character)
        assert not stack
        assert 10 < deepest <= 64


def test_words_are_drawn_evenly() -> None:
    words = Counter(w for item in read_filler("words", 1, 0, 50) for w in item.text.split())  # type: ignore[union-attr]
    assert 3900 < len(words) <= 4096
    assert max(words.values()) < 40
