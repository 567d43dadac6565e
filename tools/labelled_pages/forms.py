"""Pages in another form: without their marks, or with other ones; the labels go with the lines."""

from __future__ import annotations

import html
import re

from labelled_pages.base import BLANK, CODE, MARK


def unmarked(text: str, labels: str, form: str) -> tuple[str, str]:
    """The page as plain text: fences, directives and `::` gone, inline marks gone; its labels.

    `form`: `indented` (code by four columns), `flush` (at the margin), `dense` (at the margin, no blank line at all).
    """
    lines = text.split("\n")
    kept: list[tuple[str, str]] = []
    at = 0
    while at < len(lines):
        if labels[at] == CODE:
            end = at
            while end < len(lines) and labels[end] in (CODE, BLANK):
                end += 1
            while labels[end - 1] != CODE:
                end -= 1
            block = lines[at:end]
            margin = min(len(line) - len(line.lstrip()) for line in block if line.strip())
            if kept and kept[-1][1] != BLANK:
                kept.append(("", BLANK))
            pad = "    " if form == "indented" else ""
            kept += [(pad + line[margin:] if line.strip() else "", labels[at + k]) for k, line in enumerate(block)]
            at = end
            if at < len(lines) and labels[at] not in (BLANK, MARK):
                kept.append(("", BLANK))
        elif labels[at] == MARK:
            at += 1
        else:
            line = lines[at]
            if line.rstrip().endswith("::"):
                line = line.rstrip()[:-1].replace(" :", ":")
            line = re.sub(r":[\w:-]+:`~?([^`<]+?)(?: <[^`]*>)?`", r"\1", line)
            line = re.sub(r"`+([^`]+)`+_*", r"\1", line)
            line = re.sub(r"\*\*([^*]+)\*\*", r"\1", line)
            line = re.sub(r"!?\[([^][]*)\]\([^()\s]*\)", r"\1", line)
            if line.strip() or not kept or kept[-1][1] != BLANK:
                kept.append((line, labels[at]))
            at += 1
    if form == "dense":
        kept = [pair for pair in kept if pair[1] != BLANK]
    while kept and kept[-1][1] == BLANK:
        kept.pop()
    return "\n".join(line for line, _ in kept), "".join(label for _, label in kept)


def indented_markdown(text: str, labels: str) -> tuple[str, str]:
    """Markdown whose fences became indented code blocks."""
    out: list[tuple[str, str]] = []
    for line, label in zip(text.split("\n"), labels, strict=True):
        if label == MARK:
            if out and out[-1][1] != BLANK:
                out.append(("", BLANK))
        else:
            out.append(("    " + line if label == CODE else line, label))
    while out[-1][1] == BLANK:
        out.pop()
    return "\n".join(line for line, _ in out), "".join(label for _, label in out)


def html_in_markdown(text: str, labels: str) -> tuple[str, str]:
    """Markdown whose fences became `<pre><code>` and whose inline code became `<code>`."""
    out, inside = [], False
    for line, label in zip(text.split("\n"), labels, strict=True):
        if label == MARK:
            out.append(("</code></pre>" if inside else "<pre><code>", MARK))
            inside = not inside
        elif label in (CODE, BLANK):
            out.append((html.escape(line, quote=False), label))
        else:
            out.append((re.sub(r"(?<!`)`([^`]+)`(?!`)", lambda m: f"<code>{html.escape(m[1])}</code>", line), label))
    return "\n".join(line for line, _ in out), "".join(label for _, label in out)
