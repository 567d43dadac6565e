"""Which files of a Hugging Face dataset are read: its README's configs, its splits, globs. Pure functions of names.

Guarantees: the same names and README give the same files; time is bounded also for a stranger's patterns and header.
Does not: list or open anything but a README.md's header.
"""

from __future__ import annotations

import difflib
import fnmatch
import functools
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Protocol

from pretrial.corpus.readers.record import excerpt
from pretrial.errors import RequestError

_SHARD = re.compile(r"(?P<split>[A-Za-z0-9_.]+?)-\d{5}-of-\d{5}\.")
# The words for the three splits as in the `datasets` library (data_files.py, SPLIT_KEYWORDS).
_SPLITS = {
    "train": "train",
    "training": "train",
    "validation": "validation",
    "valid": "validation",
    "val": "validation",
    "dev": "validation",
    "test": "test",
    "testing": "test",
    "eval": "test",
    "evaluation": "test",
}
_WORD = re.compile(r"[A-Za-z]+")
_HEADER = 4_000_000
_JSONL = (".jsonl", ".ndjson", ".json")
_PACKED = (".gz", ".zst", ".zstd")
# What the `datasets` library writes beside data, in JSON.
_ABOUT = ("dataset_infos.json", "dataset_info.json", "dataset_dict.json", "state.json")


class Listing(Protocol):
    """A dataset whose files can be listed: a folder, or a commit on the hub."""

    title: str
    id: str | None
    notes: list[str]
    converted: bool

    def names(self, patterns: Sequence[str]) -> list[str]:
        """Paths that match one of the globs, sorted."""

    def children(self, folder: str) -> list[str]:
        """Names of the folders directly below one; none where there is no such folder."""


@dataclass(frozen=True)
class Config:
    """A config of a README: the globs of each split; under `None` those whose split their files' names say."""

    name: str
    default: bool
    data_dir: str
    splits: Mapping[str | None, tuple[str, ...]]


def of_languages(source: Listing, languages: Mapping[str, Sequence[str]], where: str | None) -> list[Sequence[str]]:
    """Names of the files of each language, by its globs.

    Raises:
        RequestError: where a language has none; it says how to leave it out.
    """
    found = {one: readable(source.names(globs)) for one, globs in languages.items()}
    if missing := [one for one, names in found.items() if not names]:
        there = [one for one, names in found.items() if names]
        what = f"no file is of {', '.join(missing)}"
        folder = static(languages[missing[0]][0])[0]
        if not there:
            raise nothing(source, what, [], where, near=folder)
        parent, base = folder.rpartition("/")[::2]
        close = difflib.get_close_matches(base, [one for one in source.children(parent) if one not in languages], 1)
        raise RequestError(
            f"{source.title}: {what}",
            where=where,
            remedy=(f"Did you mean {close[0]}? " if close else "")
            + f"Without {'it' if len(missing) == 1 else 'them'}: languages: [{', '.join(there)}]",
        )
    return list(found.values())


def language_of(name: str, languages: Mapping[str, Sequence[str]]) -> str | None:
    """The language whose globs a path matches, the first one; `None` where it is none's."""
    return next((one for one, globs in languages.items() if matches(name, globs)), None)


def configs(card: Mapping[str, Any], title: str, where: str | None) -> list[Config]:
    """The `configs` of a README's header: a list of `config_name`, `data_files` (text, list or splits), `data_dir`."""
    found = []
    rows = card.get("configs")
    for row in rows if isinstance(rows, list) else []:
        if not isinstance(row, dict):
            raise unreadable(title, "configs", where)
        files = row.get("data_files")
        splits: dict[str | None, tuple[str, ...]] = {}
        if isinstance(files, dict):
            files = [{"split": split, "path": path} for split, path in files.items()]
        for entry in files if isinstance(files, list) else ([] if files is None else [files]):
            if isinstance(entry, dict):
                split, paths = str(entry.get("split", "train")), entry.get("path")
            else:
                split, paths = None, entry
            paths = [paths] if isinstance(paths, str) else paths
            if not isinstance(paths, list) or not all(isinstance(path, str) for path in paths):
                raise unreadable(title, "configs: data_files", where)
            for path in paths:
                if "://" in path:
                    raise RequestError(
                        f"{title} takes files from another place: {path}",
                        where=where,
                        remedy="Name that place itself, or the files of this one: patterns: [...]",
                    )
            splits[split] = (*splits.get(split, ()), *paths)
        folder = row.get("data_dir")
        found.append(
            Config(
                str(row.get("config_name", "default")),
                row.get("default") is True,
                folder.strip("/") if isinstance(folder, str) else "",
                splits,
            )
        )
    return found


def unreadable(title: str, what: str, where: str | None) -> RequestError:
    """The error for a README's header that is not what it should be."""
    return RequestError(
        f"the header of {title}'s README.md cannot be read: {what}",
        where=where,
        remedy="Name the files yourself: patterns: [data/train-*.parquet]",
    )


def chosen(
    source: Listing, configs: Sequence[Config], config: str | None, split: str, prefix: str, where: str | None
) -> list[str]:
    """Names of the files of a config and split below the folder `prefix`, sorted.

    Raises:
        RequestError: for a config, split or folder that is not there, or that holds nothing to read.
    """
    # As `datasets` does: a folder asked for by name goes before the README's configs.
    if not configs or (prefix and config is None):
        base = prefix
        if config is not None:
            tops = [_under_folder(prefix, folder) for folder in (config, f"data/{config}")]
            base = next((top for top in tops if source.names([f"{top}/**"])), "")
            if not base:
                raise nothing(source, f"there is no config {config!r}", [], where, near=tops[0])
        elif source.converted:
            base = _converted(source, prefix, where)
        names = source.names([_under_folder(base, "**")])
        if not names and base:
            raise nothing(source, f"there is no folder {base}", [], where, near=base)
        return _of_split(source, names, base, split, where)
    chosen = _config(configs, config, source.title, where)
    base = _under_folder(chosen.data_dir, "")
    if not chosen.splits:
        names = [name for name in source.names([_under_folder(base, "**")]) if _below(name, prefix)]
        return _of_split(source, names, base, split, where)
    patterns = chosen.splits.get(split)
    if patterns is None and None not in chosen.splits:
        raise RequestError(
            f"config {chosen.name} of {source.title} has no split {split!r}",
            where=where,
            remedy=f"It has: {', '.join(str(name) for name in chosen.splits)}.",
        )
    loose = patterns is None
    patterns = tuple(_under_folder(base, path) for path in (patterns or chosen.splits[None]))
    names = [name for name in source.names(patterns) if _below(name, prefix)]
    if loose:
        return _of_split(source, names, base, split, where)
    if found := readable(names):
        return found
    raise nothing(source, f"no file matches {' '.join(patterns)}", names, where)


def _config(configs: Sequence[Config], asked: str | None, title: str, where: str | None) -> Config:
    if asked is None:
        for chosen in (
            [one for one in configs if one.default],
            [one for one in configs if one.name == "default"],
            configs if len(configs) == 1 else [],
        ):
            if chosen:
                return chosen[0]
    for one in configs:
        if one.name == asked:
            return one
    names = [one.name for one in configs]
    near = difflib.get_close_matches(asked or "", names, 1)
    listed = ", ".join(names[:20]) + (f" and {len(names) - 20} more" if len(names) > 20 else "")
    raise RequestError(
        f"{title} has no config {asked!r}" if asked else f"{title} has {len(names)} configs and no default one",
        where=where,
        remedy=f"Did you mean {near[0]}?" if near else f"Say config: one of {listed}.",
    )


def _converted(source: Listing, prefix: str, where: str | None) -> str:
    """The config's folder in the hub's own conversion: each config is a folder there."""
    folders = sorted({name.split("/", 1)[0] for name in source.names(["**"]) if "/" in name})
    if prefix or len(folders) < 2:
        return prefix
    if "default" in folders:
        return "default"
    raise RequestError(
        f"{source.title} has {len(folders)} configs and no default one",
        where=where,
        remedy=f"Say config: one of {', '.join(folders[:20])}.",
    )


def _of_split(source: Listing, names: Sequence[str], base: str, split: str, where: str | None) -> list[str]:
    found = readable(names)
    if not found:
        raise nothing(source, "there is no Parquet file and no file of JSON lines", names, where)
    splits = {name: _split_of(name[len(base) + 1 :] if base else name) for name in found}
    there = sorted({one for one in splits.values() if one})
    if not there:
        if split != "train":
            raise _no_split(source.title, split, ["train"], where)
        return found
    if chosen := [name for name in found if splits[name] == split]:
        if loose := sum(one is None for one in splits.values()):
            source.notes.append(f"{source.title}: {loose} files belong to no split and are left out")
        return chosen
    raise _no_split(source.title, split, there, where)


def _no_split(title: str, split: str, there: Sequence[str], where: str | None) -> RequestError:
    return RequestError(f"{title} has no split {split!r}", where=where, remedy=f"It has: {', '.join(there)}.")


def _split_of(name: str) -> str | None:
    """The split that a file's name, or else a folder above it, speaks of; see the module."""
    *folders, base = name.split("/")
    sharded = _SHARD.match(base)
    if sharded and folders == ["data"]:
        return _SPLITS.get(sharded["split"].lower(), sharded["split"])
    for part in (base, *reversed(folders)):
        for word in _WORD.findall(part.lower()):
            if word in _SPLITS:
                return _SPLITS[word]
    return None


def readable(names: Iterable[str]) -> list[str]:
    """Names of Parquet and of JSON lines, sorted, each once."""
    return sorted({name for name in names if _is_readable(name)})


def _is_readable(name: str) -> bool:
    path = PurePosixPath(name.lower())
    if path.suffix in _PACKED:
        path = path.with_suffix("")
        return path.suffix in _JSONL
    return path.suffix in (".parquet", *_JSONL) and path.name not in _ABOUT


def _under_folder(base: str, rest: str) -> str:
    return "/".join(part for part in (base.strip("/"), rest.lstrip("/")) if part)


def _below(name: str, prefix: str) -> bool:
    return not prefix or name.startswith(prefix + "/")


def matches(name: str, patterns: Sequence[str]) -> bool:
    """Whether a path matches one of the globs: `*` stays inside a folder, `**` does not."""
    return any(_match(tuple(name.split("/")), _parts(pattern)) for pattern in patterns)


@functools.lru_cache(maxsize=4096)
def _parts(pattern: str) -> tuple[str, ...]:
    """A pattern's parts, `**` one of its own; a folder's name with a slash at its end means all in it."""
    parts: list[str] = []
    for part in (pattern + "**" if pattern.endswith("/") else pattern).split("/"):
        if part in ("", "."):
            continue
        if "**" in part and part != "**":
            parts += ["**", re.sub(r"\*{2,}", "*", part)]
        else:
            parts.append(part)
    # What `**` ends on is a file: one part at least.
    return (*parts, "*") if parts[-1:] == ["**"] else tuple(parts)


def _match(name: tuple[str, ...], pattern: tuple[str, ...]) -> bool:
    """Parts of a path against parts of a glob. Part by part: time is bounded also for a stranger's patterns."""
    reached = {0}
    for part in pattern:
        if part == "**":
            reached = set(range(min(reached), len(name) + 1)) if reached else set()
        else:
            reached = {at + 1 for at in reached if at < len(name) and fnmatch.fnmatchcase(name[at], part)}
    return len(name) in reached


def static(pattern: str) -> tuple[str, bool]:
    """The folder that a pattern's matches lie in, and whether they may lie deeper than directly in it."""
    parts = _parts(pattern)
    fixed = 0
    while fixed < len(parts) - 1 and not any(mark in parts[fixed] for mark in "*?["):
        fixed += 1
    return "/".join(parts[:fixed]), len(parts) - fixed > 1


def nothing(source: Listing, what: str, names: Sequence[str], where: str | None, *, near: str = "") -> RequestError:
    """The error for a request that no file answers. `names` are what there is, `near` a folder that is not there."""
    kinds = sorted({PurePosixPath(name).suffix for name in names if PurePosixPath(name).suffix not in ("", ".md")})
    remedy = "Parquet and JSON lines (plain, .gz, .zst) can be read."
    if near:
        parent, base = near.rpartition("/")[::2]
        there = source.children(parent)
        close = difflib.get_close_matches(base, there, 1)
        shown = ", ".join(there[:20]) + (" …" if len(there) > 20 else "")
        remedy = f"Did you mean {_under_folder(parent, close[0])}?" if close else f"There are: {shown or 'none'}."
    elif kinds:
        remedy = f"There are only {', '.join(kinds)}. {remedy}"
        if source.id and not source.converted:
            remedy += " The hub may have converted it: revision: refs/convert/parquet"
    return RequestError(f"{source.title}: {what}", where=where, remedy=remedy)


def header(path: Path, title: str, where: str | None) -> Mapping[str, Any]:
    """`configs` and `license` of the YAML header of a README.md; the rest (thousands of features) is not parsed."""
    lines: list[str] = []
    with path.open(encoding="utf-8", errors="replace") as file:
        first, *rest = file.read(_HEADER).split("\n")
    keep = False
    for line in rest if first.strip() == "---" else []:
        if line.rstrip() in ("---", "..."):
            break
        if line[:1] not in (" ", "\t", "-", "#", "\r", ""):
            keep = line.split(":", 1)[0].strip() in ("configs", "license")
        if keep:
            lines.append(line)
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    try:
        header = YAML(typ="safe", pure=True).load("\n".join(lines))
    except (YAMLError, ValueError, RecursionError) as error:
        raise unreadable(title, excerpt(str(error)).splitlines()[0], where) from error
    return header if isinstance(header, dict) else {}
