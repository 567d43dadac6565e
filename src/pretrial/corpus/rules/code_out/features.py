"""What can be said of a line: numbers from 0 to 1 that a model weighs (model.py).

Guarantees: a line's numbers follow from its first 240 characters, its last one, and what its page knows of it, so time
is linear in the text whatever stands in it.
Does not: know any language's grammar; the patterns are signs, each wrong often enough.
"""

from __future__ import annotations

import re

from pretrial.corpus.rules.code_out.page import TAGS, Page

_LOOK = 240
"""Characters of a line that are looked at: what makes time linear in the text."""

_FUNCTION_WORDS = frozenset(
    re.findall(
        r"\w+",
        """
        a an the of to that this these those which who whom whose was were be been being are am you your we our they
        their them he his she her it its but because although however there here where when what how why can could will
        would should may might must shall has have had do does did not no any some such than then so very more most many
        much
        other also only own same into about after before between through during against by at on with as or and is if i
        me my one two new used using use both each every all few
        """,
    )
)
_SOFT_WORDS = frozenset(
    re.findall(r"\w+", "in for from not and or is as with if while do class new this use by no import")
)
"""Words of both English and programming languages: they count as half."""

_WORDS = re.compile(r"[A-Za-z][A-Za-z’']*")
_SYMBOLS = str.maketrans("", "", "{}[]()<>=;+*/%&|^~@#$\\_")
_SENTENCE_END = re.compile(r"[\w)\"'’”\]%*][.!?:]+[)\"'’”\]*_]*$")
# A search runs at memory speed to the first character that can matter, and looks back from there; the same written
# as alternatives from the left is tried at every character.
_OPERATOR = re.compile(
    r"[=\-:&|+<>/$*\\@](?:(?<==)==?(?=[\s\w\"'(\-])|(?<=!=)=?\s|(?<=-)>|(?<==)>|(?<=:)=|(?<=\w:):\w|(?<=&)&|(?<=\|)\|"
    r"|(?<=[+\-*/&|])=|(?<=<)[-<]|(?<=\w<)\w|(?<=>)>|(?<=\+)\+|(?<=<)/|(?<=/)[*>]|(?<=\*)/|(?<=\$)[{(a-zA-Z]|(?<=\\)n"
    r"|(?<=@)\w+\()"
)
_ASSIGN = re.compile(r"[\w.\[\]\"'*&$:, ()-]{0,60}?[\w\])\"'>]\s?(?:[-+*/%|&^@:]|//|<<|>>|\?\?)?=(?![=~>])\s*[^\s=]")
_CALL = re.compile(r"\((?<=\w\()")
_WHOLE_CALL = re.compile(r"(?:[\w$]+(?:\.|::|->))*[\w$!]+\s?\(.*\)[;,]?$")
_CALL_START = re.compile(r"(?:[\w$]+(?:\.|::|->))*[\w$!]+\(")
_NAME = re.compile(r"[_A-Z](?:(?<=[A-Za-z0-9]_)[A-Za-z0-9]|(?<=[a-z][A-Z])|(?<=\b_)_\w)")
_DOTTED = re.compile(r"[.:](?:(?<=[a-z_)\]]\.)[A-Za-z_]\w|(?<=\w:):\w)")
_DECLARATION = re.compile(
    r"(?:"
    r"(?:async\s+)?def\s+\w+|class\s+\w+\s*[:({<]|class\s+\w+$|from\s+[\w.]+\s+import\b"
    r"|import\s+[\w.{*\"'<][\w.,\s{}*\"';/@-]*$"
    r"|(?:public|private|protected|static|const|let|var|val|final|abstract|override|export|extern|typedef|struct|enum|union"
    r"|interface|namespace|package|using|fn|pub|impl|mod|trait|func|type|unsafe|mut|contract|function|local|module|sub"
    r"|my|void|int|char|float|double|bool|boolean|long|short|unsigned|string|uint\d*|int\d+|u8|u32|u64|usize|auto"
    r"|template)\s+[\w*&<:$\[(](?=.*[=;{}()<>\[\]*&$:])"
    r"|#\s*(?:include|define|ifdef|ifndef|endif|pragma|undef|if|else)\b|#!/|#\[|@\w[\w.]*(?:\(.*\))?$|use\s+[\w:{]+.*;$"
    r"|<\?(?:php|xml)|<!DOCTYPE|<!--|\((?:def\w*|let\*?|fn|lambda|cond|loop|ns|println?|setq|set!|begin|recur)[\s(\[]"
    r")"
)
_STATEMENT = re.compile(
    r"(?:"
    r"(?:if|elif|while|for|with|switch|catch|else\s+if|foreach|until|unless)\b.*[:{(;]\s*(?:[#/].*)?$"
    r"|(?:else|try|finally|do|begin|end|fi|done|esac|then|endif|pass|break|continue|endfunction|endforeach)[:;{]?$"
    r"|end\s+\w+$|(?:return|raise|yield|throw|del|await|assert)\b(?:[^.]*|.*[;)\]])$"
    r"|(?:except|case|default|public|private|protected)\b.*[:({]$"
    r"|(?:SELECT|INSERT|UPDATE|DELETE|CREATE|ALTER|DROP|FROM|WHERE|JOIN|GROUP BY|ORDER BY|VALUES|SET|RUN|COPY|ENV)\s\S"
    r"|(?:select|insert into|update|delete from|create table|alter table|drop table)\s.*[;,(*]"
    r"|</?[\w:-]+(?:\s[\w:-]+(?:=(?:\"[^\"]*\"|'[^']*'|[^\s\"'<>]+))?)*\s*/?>?$"
    r")"
)
_COMMAND = re.compile(
    r"(?:sudo\s+)?(?:"
    r"(?:pip3?|python[\d.]*|git|cd|npm|npx|yarn|apt(?:-get)?|docker(?:-compose)?|conda|cargo|rustc|cmake|ctest|cpack|curl"
    r"|wget|mkdir|rm|cp|mv|ls|chmod|chown|tar|unzip|ssh|scp|brew|java|javac|mvn|gradle|gcc|g\+\+|clang|kubectl|aws|gcloud"
    r"|terraform|ansible|systemctl|bash|sh|nosetests|pytest|ninja|meson|bundle|gem|rake|php|perl|ruby|cf|gdb|valgrind|uv"
    r"|tox|ruff|mypy|grep|sed|awk|sudo)\s+[\w./~<$\"'{*@:+-][^!?]*"
    r"|(?:make|go|cat|echo|export|source|node|set|SET|find|touch|service|configure|az|rails|php|test|time|man|kill|less)"
    r"\s+(?:(?:install|build|test|run|all|clean|check|get|fmt|vet|html|docs)\b|-{1,2}\w|[\w.-]*[/$=_\\<>|\"][^!?]*|[\w-]+\.\w+).*"
    r"|(?:make|cmake|pytest|ls|npm|tox)"
    r"|\./[\w./-]+.*"
    r")$"
)
_FLAG = re.compile(r"-(?<![^\s]-)-?[a-zA-Z][\w-]*(?:[=\s]|$)")
_SLASHES = re.compile(r"//|/\*|\*/|\"\"\"|\'\'\'")
_COMMENT = re.compile(r"\*\s|\*$|--\s|;;|%\s|!\s")
_HASH = re.compile(r"#{1,6}(?:\s|$)")
_BULLET = re.compile(r"(?:[-*+•·]|\(?(?:\d{1,3}|[a-zA-Z]|[ivx]{1,4})[.)]|\[\d+\]|[A-Z]\d?\.)\s+\S")
_PAIR = re.compile(r"[\"']?[\w.$-]+[\"']?\s?:\s?(?:[\"'\[{\d&*|>-]|true|false|null|\w+,?$|$)")
_QUOTED_PAIR = re.compile(r"[\"'][\w.$ /-]+[\"']\s?(?::|=>)\s?\S")
_HEADER = re.compile(r"[A-Z][a-z]+(?:[ -][A-Za-z]+){0,4}:\s+\S")
_TITLE = re.compile(r"([=\-~^*#+_.:\"'`])\1{2,}$")
_ROW = re.compile(r"\|.*\|$|[+|][-=+|\s]{3,}[+|]$|=+(?:\s+=+)+$|-+(?:\s+-+)+$|\|[-:|\s]+\|?$")
_LITERAL = re.compile(r"[\[{(]\s*[\"'\d\[{(-].*[\]})],?$|[\"'][\w./:@-]*[\"'],?$|[\]})]+[,;)]*$|[\[{(]+$")
_QUOTES = re.compile(r"[\"'](?:(?<=[(\[={][\"'])|(?<==\s[\"'])|[\])}]|\s?:\s|,\s?[\"'])")
_TEX = re.compile(r"[\\$_^](?:(?<=\\)[a-zA-Z]{2,}(?![a-zA-Z]*\()|(?<=\$)\$|(?<=[_^])\{)")
_PROSE_START = re.compile(r"[\"“'‘(*_]{0,3}(?:[A-Z][a-z’']+,?|[AI])\s+(?:[a-z’']+[,;:]?\s+){2}")
_LOWER_RUN = re.compile(r"(?:\b[a-z]{2,}[,;]?\s+){4}")
_FIELD = re.compile(r":[\w -]+:(?:\s|$|`)|@(?:param|return|see)\b")
_REST = re.compile(r"\.\.\s(?:[\w-]+::|_|\[|\|)")
_VALUES = re.compile(r"[\d\s.,:;|()\[\]{}+\-*/eEx'\"<>=]+$|(?:0x)?[0-9a-fA-F]{8,}\b")
_GRAMMAR = re.compile(r"\w+\s*::?=\s|<[\w -]+>\s*::=")
_TRACE = re.compile(
    r"Traceback \(most recent|\s*File \"|\w+(?:Error|Exception|Warning)(?::|$)|\s*at [\w.$]+\(|error(?:\[\w+\])?:"
    r"|warning:|\w+:\d+:\d+:?\s"
)
_INLINE = re.compile(
    r"``[^`]*``|`[^`\n]*`_{0,2}|<?\bhttps?://[^\s<>\"')\]]*>?|\bwww\.[^\s<>\"')\]]*|(?<![\w.+-])[\w.+-]+@[\w-]+(?:\.[\w-]+)+"
    r"|:\w+:(?=`)"
)
_LINKS = re.compile(r"!?\[([^][]*)\](?:\([^()\s]*(?:\s\"[^\"]*\")?\)|\[[^][]*\])")
_STRONG = re.compile(
    r"[{}<>=\\|$~^_(.\-:;A-Z\[@](?:(?<=[{}<>=\\|$~^_@])|(?<=\w\()|(?<=\()[\"'{\[(]|(?<=[a-z_)\]]\.)[a-z_]\w|(?<=\s-)-?[a-zA-Z]"
    r"|(?<=:):|(?<=;)$|(?<=[a-z][A-Z])|(?<=[\w(=]\[)[\w\"'\]]|(?<=^\[))"
    r"|^\s*(?:#|//|/\*|\*\s|--|\.{1,2}/|\.\w)"
)
"""Signs of code. A line with none of them begins a block only by its first word, its indentation, or a colon above."""

_NOT_CLEAR = (_OPERATOR.search, _QUOTES.search, _ASSIGN.match, _DECLARATION.match)


def measure(page: Page, at: int) -> list[float] | None:
    """The features of a line; `None` where it is clearly prose."""
    line = page.lines[at]
    last = line.rstrip()[-1]
    body = line[:_LOOK].strip()
    if page.markup and "<" in body:
        body = TAGS.sub("", body).strip()
    if "`" in body or "://" in body or "@" in body or "www." in body:
        body = _INLINE.sub("Name", body)
    if "](" in body or "][" in body:
        body = _LINKS.sub(r"\1", body)
    body = body or "."
    words = _WORDS.findall(body)
    count = len(words)
    distinct = frozenset(words)
    length = len(distinct) or 1
    common = len(_FUNCTION_WORDS & distinct) - 0.5 * len(_SOFT_WORDS & distinct)
    inside = at in page.inside
    run = bool(_LOWER_RUN.search(body))
    strong = bool(_STRONG.search(body))
    first = body[0]
    letter = first.isalpha()
    bullet = bool(_BULLET.match(body))
    slashes = not letter and bool(_SLASHES.match(body))
    comment = slashes or (not letter and not bullet and bool(_COMMENT.match(body) or _HASH.match(body)))
    if run and not inside and not comment and last not in ";{}":
        if count >= 6 and common >= 2 and not strong:
            return None
        if count >= 8 and common >= 3 and not any(sign(body) for sign in _NOT_CLEAR):
            return None
    size = len(body)
    symbols = size - len(body.translate(_SYMBOLS))
    above = page.above(at)
    colon = above >= 0 and page.lines[above].rstrip().endswith(":")
    deep = page.indents[at] - page.base
    hash_mark = first == "#" and bool(_HASH.match(body))
    alone = hash_mark and (at == 0 or page.blank[at - 1]) and (at + 1 == len(page.lines) or page.blank[at + 1])
    opened = body.count("(") + body.count("[") + body.count("{")
    closed = body.count(")") + body.count("]") + body.count("}")
    declares, states = bool(_DECLARATION.match(body)), bool(_STATEMENT.match(body))
    command = common <= 0.5 and bool(_COMMAND.match(body))
    names = len(_NAME.findall(body)) if strong else 0
    dotted = len(_DOTTED.findall(body)) if strong else 0
    plain = not (symbols or declares or states or command or names or dotted or last in ";{}")
    return [
        1.0,
        float(count >= 4 and bool(_SENTENCE_END.search(body[-12:]))),
        float(bool(_PROSE_START.match(body))),
        float(run),
        min(1.0, 2.0 * max(common, 0.0) / length),
        float(count <= 2),
        float(count >= 10),
        min(1.0, 5.0 * symbols / size),
        (sum(map(len, words)) + count - 1) / size,
        float(strong),
        float(symbols > 0 and bool(_OPERATOR.search(body))),
        float(common <= 0 and "=" in body and bool(_ASSIGN.match(body))),
        float(opened > 0 and bool(_CALL.search(body))),
        float(opened > 0 and bool(_CALL_START.match(body))),
        float(opened > 0 and last in ");," and common <= 0.5 and bool(_WHOLE_CALL.match(body))),
        min(1.0, 0.5 * names),
        min(1.0, 0.5 * dotted),
        float(declares),
        float(states),
        float(command),
        float("-" in body and bool(_FLAG.search(body))),
        float(slashes),
        float(comment and not slashes and not hash_mark),
        float(alone),
        float(hash_mark and not alone),
        float(bullet),
        float(":" in body and bool(_PAIR.match(body))),
        float(not letter and bool(_QUOTED_PAIR.match(body))),
        float(":" in body and bool(_HEADER.match(body))),
        float(not letter and bool(_TITLE.match(body))),
        float(not letter and bool(_ROW.match(body))),
        float(not letter and bool(_LITERAL.match(body))),
        float(bool(_QUOTES.search(body))),
        float(bool(_TEX.search(body))),
        float(not letter and bool(_FIELD.match(body))),
        float(first == "." and bool(_REST.match(body))),
        float(not letter and bool(_VALUES.match(body))),
        float(":" in body and bool(_GRAMMAR.match(body))),
        float(bool(_TRACE.match(body))),
        float(last == ";"),
        float(last in "{}"),
        float(last in "([\\|+=&"),
        float(last in ")]"),
        float(last == ","),
        float(last == ":" and count < 4),
        float(last == ":" and first.isupper() and not declares and not states),
        float(opened != closed),
        float(deep >= 2 and not plain),
        float(deep >= 4 and not plain),
        float(colon and not plain and above not in page.inside),
        float(deep >= 2 and plain),
        float(colon and plain),
        float(inside),
        float(count <= 4 and first.isupper()),
        float(first.islower()),
    ]


def may_open(page: Page, at: int) -> bool:
    """Whether a line may be the first of a block."""
    if page.blank[at] or page.kinds[at]:
        return False
    line = page.lines[at]
    if page.indents[at] > page.base + 1 or _STRONG.search(line, 0, _LOOK):
        return True
    body = line[:_LOOK].lstrip() if page.indents[at] else line[:_LOOK]
    if _COMMAND.match(body) or _DECLARATION.match(body) or _STATEMENT.match(body):
        return True
    above = page.above(at)
    return above >= 0 and page.lines[above].rstrip().endswith(":")
