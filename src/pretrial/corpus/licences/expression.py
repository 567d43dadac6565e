"""SPDX licence expressions: read, written in one form, decided.

Guarantees: AND binds tighter than OR and WITH tighter than both (SPDX specification 2.3, annex D); reading takes time
linear in the text and no recursion, so that no text can exhaust the stack.
Does not: look identifiers up. What an identifier means is decided by who asks.
"""

from __future__ import annotations

import re
from collections.abc import Callable

LONGEST = 4096
"""Characters above which a text is not read as an expression."""

_TOKEN = re.compile(r"[()]|[A-Za-z0-9.+:-]+")
_JUNK = re.compile(r"[^A-Za-z0-9.+:()\s-]")
_RANK = {"OR": 1, "AND": 2}

Postfix = tuple[str, ...]
"""An expression in postfix order: licences (`"MIT"`, `"GPL-2.0-only WITH Classpath-exception-2.0"`), `AND`, `OR`."""


def parse(expression: str) -> Postfix | None:
    """The expression in postfix order; `None` where the text is none (`"MIT License"`, `"(MIT"`, `""`).

    Operators may be in lower case, as SPDX 3 allows.
    """
    if len(expression) > LONGEST or _JUNK.search(expression):
        return None
    out: list[str] = []
    waiting: list[str] = []
    tokens = _TOKEN.findall(expression)
    operand = True  # Whether an operand, not an operator, is due.
    at = 0
    while at < len(tokens):
        token = tokens[at]
        at += 1
        word = token if token in ("AND", "OR", "WITH", "(", ")") else token.upper() if token.islower() else token
        if word == "WITH" or (operand and word in ("AND", "OR", ")")) or (not operand and word == "("):
            return None
        if word == "(":
            waiting.append(word)
        elif word == ")":
            while waiting and waiting[-1] != "(":
                out.append(waiting.pop())
            if not waiting:
                return None
            waiting.pop()
        elif word in _RANK:
            while waiting and waiting[-1] != "(" and _RANK[waiting[-1]] >= _RANK[word]:
                out.append(waiting.pop())
            waiting.append(word)
            operand = True
        elif not operand or not token[0].isalnum():
            return None
        else:
            if at + 1 < len(tokens) and tokens[at] in ("WITH", "with") and tokens[at + 1] not in ("(", ")"):
                token, at = f"{token} WITH {tokens[at + 1]}", at + 2
            out.append(token)
            operand = False
    if operand or "(" in waiting:
        return None
    return (*out, *reversed(waiting))


def render(postfix: Postfix) -> str:
    """An expression as text: single spaces, operators in capitals, no parentheses but those that are needed."""
    stack: list[tuple[str, int]] = []
    for token in postfix:
        if token not in _RANK:
            stack.append((token, 3))
            continue
        rank = _RANK[token]
        (right, right_rank), (left, left_rank) = stack.pop(), stack.pop()
        left = f"({left})" if left_rank < rank else left
        right = f"({right})" if right_rank < rank else right
        stack.append((f"{left} {token} {right}", rank))
    return stack[0][0]


def ordered(postfix: Postfix) -> str:
    """An expression as text in which the sides of an operator are sorted and stand once: `B AND A AND B` is `A AND B`.

    Expressions that differ otherwise (`A AND (B OR C)`, `A AND B OR A AND C`) stay different.
    """
    stack: list[tuple[str, frozenset[str]]] = []
    for token in postfix:
        if token not in _RANK:
            stack.append(("", frozenset([token])))
            continue
        pair = stack.pop(), stack.pop()
        if pair[0] == pair[1]:
            stack.append(pair[0])
            continue
        sides: set[str] = set()
        for operator, parts in pair:
            if operator in ("", token):
                sides |= parts
            else:
                text = f" {operator} ".join(sorted(parts))
                sides.add(text if operator == "AND" else f"({text})")
        stack.append((token, frozenset(sides)))
    operator, parts = stack[0]
    return f" {operator} ".join(sorted(parts))


def decide(postfix: Postfix, allowed: Callable[[str], bool]) -> bool:
    """Whether an expression holds, given which licences do: every side of an AND, either side of an OR."""
    stack: list[bool] = []
    for token in postfix:
        if token not in _RANK:
            stack.append(allowed(token))
            continue
        right, left = stack.pop(), stack.pop()
        stack.append((left and right) if token == "AND" else (left or right))
    return stack[0]


def joined(expressions: list[str], operator: str) -> str:
    """Several expressions as one, each once and in order, joined by `AND` or `OR`."""
    parts = list(dict.fromkeys(expressions))
    if len(parts) == 1:
        return parts[0]
    other = " OR " if operator == "AND" else None
    return f" {operator} ".join(f"({part})" if other and other in part else part for part in parts)
