"""A transform changes one property of a document, the same way every time, and nothing it does not know."""

from __future__ import annotations

import ast
import dataclasses
import inspect
import tarfile
import textwrap
from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pretrial.corpus.attributes import ATTRIBUTES
from pretrial.corpus.comments import LANGUAGES, comment_share, spans
from pretrial.corpus.languages import CODE, canonical
from pretrial.corpus.readers.filler import DOCUMENT_BYTES, KINDS, documents_of, read_filler
from pretrial.corpus.readers.record import Record
from pretrial.corpus.rules.stack_v2 import StackAlphabetic, StackLines
from pretrial.corpus.transforms import TRANSFORMS
from pretrial.corpus.transforms.code import DropDocstrings, RenameIdentifiers, ShuffleLines, StripComments
from pretrial.corpus.transforms.lexed import BLANK, MOST

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
        ("tex", "a % yes\n\\begin{verbatim}\n% no\n\\end{verbatim}\n", "a\n\\begin{verbatim}\n% no\n\\end{verbatim}\n"),
        ("shell", "cat <<EOF\n# no\n EOF\nEOF\necho a # yes\n", "cat <<EOF\n# no\n EOF\nEOF\necho a\n"),
        ("shell", "# yes\ncat <<A # yes\n# no\nA\n# yes\nb\n", "cat <<A\n# no\nA\nb\n"),
        ("php", "<?php\n# yes\n#[A]\n// yes\n#[B]\n", "<?php\n#[A]\n#[B]\n"),
        ("shell", "cat <<-'A B' # yes\n\t# no\n\tA B\n# yes", "cat <<-'A B'\n\t# no\n\tA B"),
        ("shell", 'a "$(b "x # no")" $((1 << 2)) ${b#c} d#e # yes\n', 'a "$(b "x # no")" $((1 << 2)) ${b#c} d#e\n'),
        ("javascript", "r = /https?:\\/\\//; // yes\n", "r = /https?:\\/\\//;\n"),
        ("javascript", "t = `a ${b /* yes */} // no`;\n", "t = `a ${b } // no`;\n"),
        ("php", "<a href=http://x>\n<?php $a; // yes\n?>\nhttp://z\n", "<a href=http://x>\n<?php $a;\n?>\nhttp://z\n"),
        ("c", '#define U "http://x" // yes\n#if 0\n// no\n#endif\n', '#define U "http://x"\n#if 0\n// no\n#endif\n'),
        ("cpp", 'auto s = R"x(// no)x"; // yes\n', 'auto s = R"x(// no)x";\n'),
        ("rust", 'let s = r##"// "# no"##; /// yes\n', 'let s = r##"// "# no"##;\n'),
        ("haskell", "{-# LANGUAGE X #-}\nf = 1 {- yes {- yes -} -}\n", "{-# LANGUAGE X #-}\nf = 1\n"),
        ("html", "<script>\n// no\n</script><!-- yes -->\n", "<script>\n// no\n</script>\n"),
        ("scss", "a { b: url(http://x); // yes\n}\n", "a { b: url(http://x);\n}\n"),
        (
            "vue",
            '<template>\nhttp://x <!-- yes -->\n</template>\n<script lang="ts">\na = "http://x" // yes\n</script>\n',
            '<template>\nhttp://x\n</template>\n<script lang="ts">\na = "http://x"\n</script>\n',
        ),
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
    assert StripComments()(text, {"language": language}).text == bare
    again = StripComments()(bare, {"language": language})
    assert (again.text, again.removed, again.reason) == (bare, {}, "")


@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("javascript", "a = <b>http://x</b> // y\n"),
        ("javascript", 'a = "one\ntwo"; // y\n'),
        ("c", "int a = `; // y\n"),
        ("c", '#define G "a/*"\nint b; /* y */\n'),
        ("python", "a = 'b\n# c\n"),
        ("php", "<?php // a ?> b\n"),
        ("c-sharp", 'a = """\n// b\n"""; // y\n'),
        ("vue", '<script lang="coffee">\n# y\n</script> // y\n'),
        ("sass", "a\n  // y\n     z\n"),
        ("java", "int a; /* y \\u002A\\u002F int b; /* */\n"),
        ("java", "int a; // y\n" + "x" * MOST),
    ],
)
def test_where_comments_cannot_be_told_the_file_goes(language: str, text: str) -> None:
    result = StripComments()(text, {"language": language})
    assert (result.reason, result.text) == ("ambiguous", text)


def test_a_text_as_long_as_is_lexed_stays() -> None:
    text = "int a; // y\n"
    assert not StripComments()(text + "x" * (MOST - len(text) - 1) + "\n", {"language": "java"}).dropped


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
    result = StripComments()(text, {"language": language})
    kept = iter(text)
    assert all(character in kept for character in result.text if not character.isspace()), "only takes out"


@pytest.mark.parametrize("language", sorted(LANGUAGES))
@pytest.mark.parametrize("piece", ['"', "'", "/*", "#", "\\", '"""', "`\\", "--[[", "{-", "<!--", "<!--\\"])
def test_hostile_code_takes_time_in_proportion(language: str, piece: str) -> None:
    """Counts steps, not seconds: a scan that starts anew at each mark would take hours here."""
    for _ in spans(piece * 20_000, language):
        pass
    StripComments()(piece * 20_000, {"language": language})


@pytest.mark.parametrize("module", MODULES)
def test_docstrings_go_and_the_rest_parses(module: Any) -> None:
    text = inspect.getsource(module)
    bare = DropDocstrings()(text, {"language": "python"})
    assert ast.get_docstring(ast.parse(bare.text)) is None
    assert bare.removed["docstrings"] == len(text.encode()) - len(bare.text.encode())


def renamed(text: str, language: str = "python") -> str:
    result = RenameIdentifiers()(text, {"language": language})
    assert not result.dropped, result
    return result.text


@pytest.mark.parametrize("module", [*MODULES, dataclasses, tarfile])
def test_names_lose_their_meaning_and_nothing_else(module: Any) -> None:
    """One new name for each that the file binds; the rest of the tree is equal, with attributes and keywords."""
    text = inspect.getsource(module)
    before, after = (list(ast.walk(ast.parse(source))) for source in (text, renamed(text)))
    pairs = {
        (old.id, new.id)
        for old, new in zip(before, after, strict=True)
        if isinstance(old, ast.Name) and isinstance(new, ast.Name)
    }
    assert len({old for old, _ in pairs}) == len(pairs) == len({new for _, new in pairs}), "one new name for each"
    assert len({new for old, new in pairs if old != new}) > 20
    assert [type(node) for node in before] == [type(node) for node in after]
    for kind, field in (
        (ast.Attribute, "attr"),
        (ast.keyword, "arg"),
        (ast.alias, "name"),
        (ast.alias, "asname"),
        (ast.Constant, "value"),
    ):
        kept = [[getattr(node, field) for node in nodes if isinstance(node, kind)] for nodes in (before, after)]
        assert kept[0] == kept[1], (kind, field)


@pytest.mark.parametrize(
    ("text", "after"),
    [
        ("from x import (\n  a,\n  b as c,\n)\nd = a + c\n", "from x import (\n  a,\n  b as c,\n)\nv1 = a + c\n"),
        ("from x import b as c\nb = c\n", "from x import b as c\nv1 = c\n"),
        ("import os.path\nx = os.path.x\n", "import os.path\nv1 = os.path.x\n"),
        ("def f(a, b=1):\n    return a\nf(1, b=2)\ng(a=1)\n", "def v1(a, b=1):\n    return a\nv1(1, b=2)\ng(a=1)\n"),
        ("x = 1\ng(x=x)\n", "v1 = 1\ng(x=v1)\n"),
        ("class A:\n    b = 1\n    def c(self, d):\n        return self.b + d\n",
         "class v1:\n    b = 1\n    def c(v2, v3):\n        return v2.b + v3\n"),
        ("if __name__ == 'x':\n    id = len\n    foo(id)\n", "if __name__ == 'x':\n    id = len\n    foo(id)\n"),
        ("__all__ = ['a']\na = b = 1\n", "__all__ = ['a']\na = v1 = 1\n"),
        ("a = 1\nb = f'{a} {a + 1:>{a}}'\n", "v1 = 1\nv2 = f'{v1} {v1 + 1:>{v1}}'\n"),
        ("a = b = 1\nc = f'{a=}'\n", "a = v1 = 1\nv2 = f'{a=}'\n"),
        ("é = 'é'; a = é\n", "v1 = 'é'; v2 = v1\n"),
        ("def f():\n    global a\n    a = 1\n", "def v1():\n    global v2\n    v2 = 1\n"),
        ("match = 1\nx = 2\nmatch x:\n    case [y, *z]: y\n", "match = 1\nv1 = 2\nmatch v1:\n    case [v2, *v3]: v2\n"),
        ("v1 = w = 1\n", "v2 = v3 = 1\n"),
        ("def test_a(tmp_path):\n    b = tmp_path\n", "def test_a(tmp_path):\n    v1 = tmp_path\n"),
        ("def f(a: 'B'): 1\nclass B: 1\nclass C: 1\n", "def v1(v2: 'B'): 1\nclass B: 1\nclass v3: 1\n"),
        ("from x import *\ndef f(): a\ndef g(): a = b = 1\n", "from x import *\ndef v1(): a\ndef v2(): a = v3 = 1\n"),
    ],
)  # fmt: skip
def test_python_keeps_the_names_of_others(text: str, after: str) -> None:
    assert renamed(text) == after


@pytest.mark.parametrize(
    ("language", "text", "after"),
    [
        (
            "c",
            "#define SQ(x) ((x) * total)\n#include <a.h>\nextern int far;\nint near(int n);\n"
            'static int add(int n, char *s) {\n int total = n, k;\n pr("%d", far + s[0]);\n return SQ(k);\n}\n'
            "int main(void) { return add(1, 0); }\n",
            "#define SQ(x) ((x) * total)\n#include <a.h>\nextern int far;\nint near(int v1);\n"
            'static int v2(int v1, char *v3) {\n int total = v1, k;\n pr("%d", far + v3[0]);\n return SQ(k);\n}\n'
            "int main(void) { return v2(1, 0); }\n",
        ),
        ("c", "struct p { int x; };\nint f(struct p *q) { int x = q->x; return x * q->x; }\n",
         "struct p { int x; };\nint v1(struct p *v2) { int x = v2->x; return x * v2->x; }\n"),
        (
            "java",
            "import java.util.List;\nclass A {\n int size; void run(List<String> xs, int size) {\n"
            "  for (String x : xs) { this.size = size; out(x.length()); }\n }\n}\n",
            "import java.util.List;\nclass A {\n int size; void run(List<String> v1, int size) {\n"
            "  for (String v2 : v1) { this.size = size; out(v2.length()); }\n }\n}\n",
        ),
        (
            "javascript",
            "import {a} from 'b';\nconst c = r('d'), {e} = c;\nfunction f(g, h) { return {g: h, c, x: a.g}; }\n"
            "class K { f() { return f(1); } }\n",
            "import {a} from 'b';\nconst c = r('d'), {e} = c;\nfunction f(v1, v2) { return {g: v2, c, x: a.g}; }\n"
            "class v3 { f() { return f(1); } }\n",
        ),
        (
            "go",
            'package main\nimport "fmt"\ntype T struct { a int }\nfunc (t *T) get(k int) int { return t.a + k }\n'
            "func sum(a, b int) int { c := T{a: b}; return c.get(b) }\nfunc main() { fmt.Println(sum(1, 2)) }\n",
            'package main\nimport "fmt"\ntype T struct { a int }\nfunc (v1 *T) get(v2 int) int { return v1.a + v2 }\n'
            "func v3(a, v4 int) int { v5 := T{a: v4}; return v5.get(v4) }\nfunc main() { fmt.Println(v3(1, 2)) }\n",
        ),
    ],
)  # fmt: skip
def test_other_languages_lose_the_names_they_declare(language: str, text: str, after: str) -> None:
    assert renamed(text, language) == after


@pytest.mark.parametrize(
    ("language", "text", "reason"),
    [
        ("python", "print 'a'\n", "unparsable"),
        ("javascript", "let a = 1; eval('a');\n", "ambiguous"),
        ("javascript", "let a = <b>c</b>;\n", "ambiguous"),
        ("go", 'package main\nimport "C"\n', "ambiguous"),
        ("c", "int f() { return 1; \n", "ambiguous"),
        ("vue", "<template><a></a></template>\n", "language"),
    ],
)
def test_what_cannot_be_renamed_goes(language: str, text: str, reason: str) -> None:
    assert RenameIdentifiers()(text, {"language": language}).reason == reason


@pytest.mark.parametrize(
    ("said", "name"),
    [
        ("C++", "cpp"), ("c++", "cpp"), ("C#", "c-sharp"), ("csharp", "c-sharp"), ("C Sharp", "c-sharp"),
        ("common lisp", "common-lisp"), ("Common_Lisp", "common-lisp"), ("R Markdown", "rmarkdown"), ("", ""),
    ],
)  # fmt: skip
def test_a_language_has_one_name(said: str, name: str) -> None:
    assert canonical(said) == name


@given(
    st.text(alphabet="aA -_+#()\t", max_size=12) | st.sampled_from(["Roff Manpage", "graphviz (dot)", "visual basic"])
)
def test_the_name_of_a_name_is_itself(said: str) -> None:
    assert canonical(canonical(said)) == canonical(said)


@pytest.mark.parametrize("said", ["c++", "C++", "cpp", "CPP"])
def test_rules_transforms_and_attributes_know_a_language_by_any_spelling(said: str) -> None:
    text = "int a; // b\n"
    assert StripComments()(text, {"language": said}).text == "int a;\n"
    assert ATTRIBUTES["comment-share"].compute(text, {"language": said}) == pytest.approx(3 / 8)


@pytest.mark.parametrize("said", ["roff manpage", "roff-manpage", "Roff_Manpage"])
def test_exceptions_of_the_stack_hold_for_any_spelling(said: str) -> None:
    assert StackLines()("a " * 600, {"language": "perl"}).reason == "max-line"
    assert not StackLines()("a " * 600, {"language": said}).dropped
    assembly = said.replace("roff", "motorola").replace("Roff", "Motorola").replace("manpage", "68k-assembly")
    assembly = assembly.replace("Manpage", "68K_Assembly")
    assert StackAlphabetic()("1" * 100, {"language": "perl"}).reason == "alphabetic-share"
    assert not StackAlphabetic()("1" * 100, {"language": assembly}).dropped


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


@pytest.mark.parametrize("blank", ["\n", " \t\n", "\r\n"])
def test_thousands_of_blank_lines_are_not_lexed(blank: str) -> None:
    few, many = (f"int x; // of this\n{blank * count}int y;\n" for count in (BLANK - 2, BLANK + 2))
    assert StripComments()(few, {"language": "c"}).reason == ""
    assert StripComments()(many, {"language": "c"}).reason == "ambiguous"
