"""What identifies a corpus, without reading it.

Guarantees: a source's configuration holds every choice that acts on its documents (reader and options, languages, rules
and transforms with their versions and thresholds, caps, group field) and no path; files are known by a name relative to
their root and the SHA-256 of their bytes, repositories by their commit, a dataset by its files' hashes; imports nothing
heavier than the rules.
Does not: read documents, or decide when the installation is read again (the store keeps its first snapshot).
"""

from __future__ import annotations

import contextlib
import difflib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypedDict

from pretrial.corpus.attributes import ATTRIBUTES
from pretrial.corpus.kinds import ARCHIVES, CHOICES, FILLERS, KINDS, takers, where_of
from pretrial.corpus.languages import ASSEMBLY, CODE, DATA, MARKUP, canonical
from pretrial.corpus.licences import normalise
from pretrial.corpus.places import FAULTS, UNREAD, Place, found, locate
from pretrial.corpus.readers.safety import spelled
from pretrial.corpus.registry import Call, configured, edits
from pretrial.corpus.sites import site_of
from pretrial.errors import RequestError
from pretrial.store.identity import fingerprint

if TYPE_CHECKING:
    from pretrial.corpus.readers.catalogue import Definition

SEMANTICS = {"snapshot": 2, "corpus": 5, "corpus-shard": 5, "corpus-split": 1, "select": 4}
"""Versions of the steps. Snapshot 2 and corpus 4: what readers skip and would have been a document is listed, also what
`cap-group` leaves out of a tree; limits of commits and notebooks, and whether generated files stay, are in the recipe;
a dump's site may be its folder's name. Corpus 5: bombs that are no archives, and links and special files in trees, are
kept aside or listed; counts of a field's values are complete. Select 4: benchmark items in edited texts; copies among
derived texts are told after all else."""
TREE = 4
"""Version of how trees of files are read; only the configuration of sources that read them holds it. 2: what a file
belongs to is counted from the tree's own root. 3: licence files are looked at. 4: what `cap-group` leaves out is
counted and listed."""


class Quota(TypedDict):
    """How much is held out: a share of a source's bytes, a number of them, the largest group's share."""

    share: str
    bytes: int
    largest_group: str


HELD_OUT: Quota = {"share": "2%", "bytes": 262_144, "largest_group": "20%"}
INSTALLED = frozenset(word for kind in KINDS.values() for word in kind.words)
LANGUAGE_SETS: dict[str, tuple[str, ...]] = {
    "code": tuple(CODE),
    "markup": tuple(MARKUP),
    "data": tuple(DATA),
}
"""Languages under one name: the paper's 25 of code, its 10 of markup, and data that other rules speak of."""


class ReadLike(Protocol):
    """The part of a study's source that says how it is read (`pretrial.study.schema.Read`)."""

    @property
    def kind(self) -> str:
        """Name of the reader, one of `kinds.KINDS`."""

    @property
    def location(self) -> str | tuple[str, ...]:
        """Paths, globs, one of the words for the installation, a dataset, or a kind of filler."""

    @property
    def options(self) -> Mapping[str, Any]:
        """What was said of the options of `kinds.KINDS`; defaults stand for the rest."""


class SourceLike(Protocol):
    """A source of a study (`pretrial.study.schema.Source`)."""

    @property
    def read(self) -> ReadLike | None:
        """How it is read; `None` for one that is derived from another."""

    @property
    def parent(self) -> str | None:
        """The source that it is derived from."""

    @property
    def filter(self) -> Sequence[Call]:
        """Rules with their thresholds, in order."""

    @property
    def transform(self) -> Sequence[Call]:
        """Transforms, in order, after the rules."""

    @property
    def group(self) -> str:
        """Field that keeps related documents together."""

    @property
    def license(self) -> str | None:
        """Licence of documents that name none."""

    @property
    def keep(self) -> Mapping[str, Any] | None:
        """Values that a field or measure must have: a sequence, or (least, most) of which either may be `None`."""

    @property
    def is_part(self) -> bool:
        """Whether it is a part of a split: `keep` has one value, and means documents that have it and no other."""


class HashCache(Protocol):
    """Knows the SHA-256 of files, and hashes again what was changed, touched or put in another's place."""

    def hash(self, path: Path) -> str:
        """SHA-256 of the file's bytes, in hex."""

    def recall(self, name: str) -> list[Any] | None:
        """What was remembered under a name."""

    def remember(self, name: str, value: list[Any]) -> None:
        """Remember what will never be different."""


def source_config(source: SourceLike, *, where: str | None = None) -> dict[str, Any]:
    """What acts on the documents of a source, as JSON. No paths are in it.

    Args:
        source: the study's source.
        where: place in the study file, for errors.

    Raises:
        RequestError: for a reader, option, rule, language, group or field that does not exist or does not apply.
    """
    read = {"kind": "from", "scope": "source"} if source.read is None else _read(source.read, where)
    rules = configured(source.filter, where=where)
    keep = _keep(source.keep or {}, where)
    if source.read is not None:
        _check_group(read, source.group, where)
        if keep and not KINDS[source.read.kind].fields and not set(keep) <= set(ATTRIBUTES):
            raise RequestError(
                f"keep chooses records by their fields; the reader {source.read.kind} has none",
                where=where,
                remedy="Remove keep, or choose by languages.",
            )
        definition = ready(source.read, where=where)
        if definition is not None:
            _check_license(source.license, definition.license, rules, where)
            keep = {field: sorted(values) for field, values in definition.keep.items()} | keep
    return {
        "read": read,
        "keep": dict(sorted(keep.items())),
        **({"part_of_split": True} if source.is_part else {}),
        "measures": {name: ATTRIBUTES[name].version for name in sorted(keep) if name in ATTRIBUTES},
        "filter": rules,
        "transform": configured(source.transform, transforms=True, where=where),
        "group": source.group,
        "license": source.license,
    }


def source_settings(
    source: SourceLike,
    data_dir: Path | None,
    study_dir: Path,
    *,
    name: str = "",
    where: str | None = None,
) -> dict[str, Any]:
    """Where a source's files lie, as JSON: a root and a pattern relative to it for each location.

    `{data}/…` is relative to `data_dir`, other relative paths to `study_dir`.

    Raises:
        RequestError: when a location needs the data folder and none was named.
    """
    settings: dict[str, Any] = {"name": name, "where": where, "locations": []}
    read = source.read
    if read is None:
        return settings
    scope = _scope(read, where)
    if scope == "hub" and (definition := ready(read, where=where)) is not None:
        settings["ready"] = definition.name
    if scope == "hub" and not _is_folder(read):
        return settings
    if scope in ("paths", "hub"):
        for text in (read.location,) if isinstance(read.location, str) else read.location:
            root, pattern = locate(text, data_dir, study_dir, where)
            settings["locations"].append({"root": str(root.absolute()), "pattern": pattern})
    return settings


def input_fingerprint(
    config: Mapping[str, Any], settings: Mapping[str, Any], cache: HashCache
) -> list[list[Any]] | None:
    """What a source reads, sorted by name; `None` for the installation, filler, and another source's documents.

    (name, SHA-256) of each file, with its unit as a third in a tree, and of a dump with what its folder says of its
    site; (name, commit, unit) of a repository; (name, digest, bytes) of a file of a dataset. Of what cannot be read
    among others that a pattern or folder holds, the reason (`places.UNREAD`) stands in the place of the hash or commit.

    Raises:
        RequestError: for a missing file that is named without a wildcard, a pattern that matches nothing, files of
            which none can be read, a folder in the place of a file, a tree without a file of the languages asked
            for, a revision or dataset that cannot be had.
    """
    read = config["read"]
    if read["scope"] == "hub":
        # What lies at a commit of the hub never changes: a finished study must not need the network.
        name = f"hub {fingerprint(dict(read))}"
        known = None if settings["locations"] else cache.recall(name)
        if known is None:
            dataset = resolve_hub(read, settings, cache)
            known = [[file.name, file.digest, file.size] for file in dataset.files]
            if not settings["locations"]:
                cache.remember(name, known)
        return known
    if read["scope"] != "paths":
        return None
    where, repositories = settings.get("where"), where_of(read) == "repositories"
    rows: list[list[Any]] = []
    first: RequestError | None = None
    for place in found(read, settings):
        try:
            mark = place.fault or (_commit(place, read) if repositories else _hash(place, cache, where))
        except RequestError as error:
            if place.named and repositories:
                with placed(settings):
                    raise
            first = first or error
            mark = _fault(error, repositories)
        rows.append([place.name, mark, *_belonging(place, read)])
    if all(row[1] in UNREAD for row in rows):
        fault = next((FAULTS[row[1]] for row in rows if row[1] in FAULTS), "links are not followed")
        with placed(settings):
            raise first or RequestError(
                f"nothing that {settings['locations'][0]['pattern']} matches can be read: {fault}",
                where=where,
                remedy="Check the path, and what lies there.",
            )
    return rows


@contextlib.contextmanager
def placed(settings: Mapping[str, Any]) -> Iterator[None]:
    """Say of a request that turns out to be wrong inside which source it is, and where the study says so."""
    try:
        yield
    except RequestError as error:
        if error.where is not None:
            raise
        said = (settings.get("where"), f"source {spelled(settings['name'])}" if settings.get("name") else None)
        where = ", ".join(one for one in said if one)
        raise type(error)(error.what, where=where or None, remedy=error.remedy) from error


def resolve_hub(read: Mapping[str, Any], settings: Mapping[str, Any], cache: HashCache | None = None) -> Any:
    """The dataset that a configuration names, a `readers.hub.Dataset`.

    Raises:
        RequestError: when it cannot be had, or a dataset on the hub is not pinned to a commit.
    """
    from pretrial.corpus.readers.hub import resolve_dataset

    where = settings.get("where")
    folder = bool(settings["locations"])
    location: str | Path = read["dataset"]
    if folder:
        at = settings["locations"][0]
        location = Path(at["root"]) / at["pattern"]
    dataset = resolve_dataset(
        location,
        revision=read["revision"],
        config=read["config"],
        split=read["split"],
        patterns=tuple(read["patterns"]),
        languages=read.get("languages"),
        take=read["take"],
        hash=cache.hash if cache is not None else None,
        ready=settings.get("ready", ""),
        where=where,
    )
    if not folder and dataset.revision != read["revision"]:
        raise RequestError(
            f"{read['dataset']} is not pinned: what a study reads must not change under it",
            where=where,
            remedy=f"Write the commit that it stands at now: revision: {dataset.revision}",
        )
    return dataset


def corpus_config(config: Mapping[str, Any], files: list[list[Any]] | None) -> dict[str, Any]:
    """Configuration of a source's step of kind "corpus": the source's and, where it has them, its files."""
    return {**config, "files": files} if files is not None else dict(config)


def check_groups(config: Mapping[str, Any], files: list[list[Any]] | None, settings: Mapping[str, Any]) -> None:
    """That what is read of a source that trains has more than one group, as far as that is known before it is read.

    Raises:
        RequestError: where all of it lies in one repository, package or folder that is a group: a group is held out as
            a whole, so that nothing could be.
    """
    read = config["read"]
    lies = "tree" in read or (read["scope"] == "paths" and where_of(read) == "repositories")
    if files is None or not lies or config["group"] not in ("repository", "package", "directory"):
        return
    units = {row[2] for row in files if row[1] not in UNREAD}
    if len(units) != 1 or "" in units:
        return
    (unit,), kind = units, config["group"]
    with placed(settings):
        raise RequestError(
            f"nothing can be held out: all of it is one {kind}, {unit}, and one {kind} is one group",
            remedy="Say group: document, or read more of them.",
        )


def snapshot_config(config: Mapping[str, Any]) -> dict[str, Any] | None:
    """Configuration of the "snapshot" step that a source reads from; `None` where it reads no installation.

    Rules, groups and fields are left out: changing them does not read the installation again.
    """
    read = config["read"]
    if read["scope"] not in INSTALLED:
        return None
    keys = ("kind", "scope", "languages", "generated", "cap_file", "cap_group")
    return {key: read[key] for key in keys if key in read}


def is_edited(source: SourceLike) -> bool:
    """Whether a source's rules and transforms may leave a document with another text."""
    return bool(source.transform) or edits(source.filter)


def select_config(
    sources: Sequence[str],
    trained: frozenset[str] | set[str],
    roots: Mapping[str, str] | None = None,
    domains: Sequence[str] | None = None,
) -> dict[str, Any]:
    """Configuration of the "select" step.

    Args:
        sources: all sources in the order of the study file, which is their priority.
        trained: those that some variant trains on.
        roots: the source that each derived one goes back to.
        domains: those that are evaluated and not trained on; by default all of whose family nothing is trained on.
    """
    derived = dict(roots or {})
    families = {derived.get(name, name) for name in trained}
    unseen = [name for name in sources if derived.get(name, name) not in families] if domains is None else domains
    used = {*trained, *unseen}
    return {
        "sources": {
            name: {"trained": name in families, "used": name in used, "priority": index}
            for index, name in enumerate(name for name in sources if name not in derived)
        },
        "derived": {name: {"root": derived[name], "used": name in used} for name in sources if name in derived},
        "held_out": dict(HELD_OUT),
    }


def installed_state() -> dict[str, object]:
    """What `installed` readers see: Python's version and distributions. Compare a snapshot's `installed`."""
    # Reading metadata imports half of the email package; planning a study without installed readers must not.
    from pretrial.corpus import installed

    return installed.state()


def resolve(config: Mapping[str, Any], settings: Mapping[str, Any]) -> list[Place]:
    """The files or repositories that a source reads; none where it reads no paths.

    Raises:
        RequestError: as `input_fingerprint`.
    """
    return found(config["read"], settings) if config["read"]["scope"] == "paths" else []


# -- inside ------------------------------------------------------------------------------------------------------------


def _read(read: ReadLike, where: str | None) -> dict[str, Any]:
    if read.kind not in KINDS:
        raise unknown("reader", read.kind, tuple(KINDS), where)
    kind = KINDS[read.kind]
    for option in read.options:
        if option not in kind.options:
            said = option.replace("_", "-")
            raise RequestError(
                f"{said} does not apply to the reader {read.kind}",
                where=where,
                remedy=f"It goes with {', '.join(takers(option))}." if takers(option) else "Leave it out.",
            )
    scope = _scope(read, where)
    options = {**kind.options, **read.options}
    for option, value in options.items():
        if (choices := CHOICES.get((read.kind, option))) and value not in choices:
            raise unknown(option.replace("_", "-"), str(value), choices, where)
    config: dict[str, Any] = {"kind": read.kind, "scope": scope, **options}
    if columns := config.pop("fields", None):
        config["columns"] = _columns(columns, options["text"], where)
    if scope == "hub":
        del config["as"], config["languages"]
    elif "languages" in options:
        config["languages"] = _languages(options["languages"], where)
    if "patterns" in options:
        config["patterns"] = list(options["patterns"])
    if read.kind == "notebooks":
        config |= _notebooks(config, read.location, where)
        config = {key: value for key, value in config.items() if key not in _unused(config)}
    if scope == "paths" and where_of(config) == "tree":
        config["tree"] = TREE
    if scope == "hub":
        _hub(config, read, options, where)
    if scope == "nowhere":
        if read.location not in FILLERS:
            raise unknown("filler", str(read.location), FILLERS, where)
        config["filler"] = read.location
    return config


def _scope(read: ReadLike, where: str | None) -> str:
    kind = KINDS[read.kind]
    if kind.where in ("hub", "nowhere"):
        return kind.where
    if isinstance(read.location, str) and read.location in INSTALLED:
        if read.location not in kind.words:
            raise RequestError(
                f"the reader {read.kind} cannot read {read.location!r}",
                where=where,
                remedy=f"It reads {' or '.join(kind.words)}."
                if kind.words
                else "It reads files: give a path or a pattern.",
            )
        return read.location
    if kind.where == "installed":
        raise RequestError(
            f"the reader {read.kind} reads the installation only, not {read.location!r}",
            where=where,
            remedy=f"Say {read.kind}: {next(iter(kind.words))}",
        )
    return "paths"


def _notebooks(options: Mapping[str, Any], location: str | Sequence[str], where: str | None) -> dict[str, str]:
    """In which other kind of reading notebooks lie; empty in a tree.

    Archives are told by their names, repositories by the revision at which they are read: without one, a repository is
    a folder like any other.
    """
    names = (location,) if isinstance(location, str) else location
    packed = [name.lower().endswith(ARCHIVES) for name in names]
    if any(packed) and not all(packed):
        raise RequestError(
            "notebooks are read from archives or from folders, not from both at once",
            where=where,
            remedy="Make a source of each.",
        )
    inside = "archives" if all(packed) else "git" if options["revision"] is not None else ""
    if inside == "archives" and options["revision"] is not None:
        raise RequestError("an archive has no revision", where=where, remedy="Leave revision out.")
    if inside and options["cap_group"] is not None:
        raise RequestError(
            f"cap-group does not apply to notebooks of {'archives' if inside == 'archives' else 'repositories'}",
            where=where,
            remedy="Leave it out, or unpack them and name the folder.",
        )
    return {"inside": inside} if inside else {}


def _unused(config: Mapping[str, Any]) -> set[str]:
    """Options of notebooks that say nothing where they lie."""
    inside = config.get("inside")
    return ({"cap_group"} if inside else set()) | ({"revision"} if inside != "git" else set())


def _check_group(read: Mapping[str, Any], group: str, where: str | None) -> None:
    kind = KINDS[read.get("inside", read["kind"])]
    groups = kind.words.get(read["scope"], kind.groups)
    if groups is not None and group not in groups:
        raise unknown("group", group, groups, where)


def _keep(keep: Mapping[str, Any], where: str | None) -> dict[str, Any]:
    said: dict[str, Any] = {}
    for field, values in keep.items():
        if field in ATTRIBUTES and not isinstance(values, Mapping):
            raise RequestError(
                f"{field} is a measure of the text, and {', '.join(map(str, values))} is no range",
                where=where,
                remedy=f"Write {field}: 10.., ..80% or 0.1..0.5",
            )
        if isinstance(values, Mapping):
            said[field] = {"least": values.get("least"), "most": values.get("most")}
            if field in ATTRIBUTES and ATTRIBUTES[field].share:
                _check_share(field, said[field], where)
        else:
            # Datasets spell languages in many ways.
            said[field] = sorted({canonical(str(one)) if field == "language" else str(one) for one in values})
    return said


def _check_share(field: str, span: Mapping[str, float | None], where: str | None) -> None:
    """That a range of a share has something of what a share can be."""
    least, most = span["least"], span["most"]
    ends = [end for end in (least, most) if end is not None and end > 1]
    if most is not None and most < 0:
        ends.append(most)
    if ends:
        percent = "..".join("" if end is None else f"{end:g}%" for end in (least, most))
        meant = f"{percent} or " if all(end is None or 0 <= end <= 100 for end in (least, most)) else ""
        raise RequestError(
            f"{field} is a share from 0 to 1, and {ends[0]:g} is none",
            where=where,
            remedy=f"Write {field}: {meant}ends from 0 to 1, such as 0.1..0.5 or 10%..50%.",
        )


def _languages(names: Sequence[str], where: str | None) -> list[str]:
    known = {**CODE, **MARKUP, **DATA, **ASSEMBLY}
    chosen: set[str] = set()
    for name in names:
        plain = name if name in LANGUAGE_SETS else canonical(name)
        if plain not in known and plain not in LANGUAGE_SETS:
            raise unknown("language", name, (*LANGUAGE_SETS, *known), where)
        chosen |= set(LANGUAGE_SETS.get(plain, (plain,)))
    return sorted(chosen or set(CODE))


def _belonging(place: Place, read: Mapping[str, Any]) -> list[str]:
    """What follows from where a file or repository lies and acts on its documents: its unit, or a dump's site."""
    if where_of(read) == "repositories" or "tree" in read:
        return [place.unit]
    if read["kind"] == "stackexchange":
        # Its name is relative to a root, which may be the folder that is called like the site.
        told = read["site"] or site_of(place.name)
        return ["" if told else site_of(place.path.absolute().parent.name)]
    return []


def _commit(place: Place, read: Mapping[str, Any]) -> str:
    from pretrial.corpus.readers.repositories import resolve_revision

    return resolve_revision(place.path, read["revision"])


def _hash(place: Place, cache: HashCache, where: str | None) -> str:
    try:
        return cache.hash(place.path)
    except OSError as error:
        raise RequestError(
            f"{place.path} cannot be read: {error.strerror}",
            where=where,
            remedy="Make it readable, or take it out of the source.",
        ) from error


def _fault(error: RequestError, repositories: bool) -> str:
    if not repositories:
        return "unreadable-file"
    from pretrial.corpus.readers.repositories import DamagedRepository, UnsafeRepository

    if isinstance(error, DamagedRepository):
        return "damaged-repository"
    return "unsafe-repository" if isinstance(error, UnsafeRepository) else "unreadable-repository"


def _is_folder(read: ReadLike) -> bool:
    return isinstance(read.location, str) and read.location.startswith(("{", ".", "/", "~"))


def ready(read: ReadLike, *, where: str | None = None) -> Definition | None:
    """The ready definition by which a source is read; `None` where there is none.

    Raises:
        RequestError: for one that there is not or that cannot be used, and for languages that it has not.
    """
    if read.kind != "hub":
        return None
    from pretrial.corpus.readers import catalogue

    name, said = str(read.location), read.options.get("as")
    # `org/name` is a dataset's id, unless what stands before the slash is the name of a definition.
    names = {one.partition("/")[0] for one in catalogue.names()}
    itself = not _is_folder(read) and (name.partition("/")[0] in names or "/" not in name)
    if itself and said is not None:
        raise RequestError(
            f"{name} is a ready definition itself, and cannot be read as {said}",
            where=where,
            remedy="Leave `as` out, or name a folder or a dataset (org/name) to read by it.",
        )
    words: Sequence[str] = read.options.get("languages") or ()
    languages = [one for word in words for one in LANGUAGE_SETS.get(word, (word,))]
    if itself or said is not None:
        return catalogue.definition(name if said is None else said, languages, where=where)
    if languages:
        raise RequestError(
            f"languages choose parts of a ready definition, and {name} is read by none",
            where=where,
            remedy="Say `as: the-stack-dedup` where it is laid out so; else keep: {language: [python]}",
        )
    if not _is_folder(read):
        catalogue.check_text(name, where=where)
    return None


def _hub(config: dict[str, Any], read: ReadLike, options: Mapping[str, Any], where: str | None) -> None:
    """Fill in what a dataset's ready definition says, or the defaults of one that has none."""
    if not isinstance(read.location, str):
        raise RequestError("hub reads one dataset", where=where, remedy="Make a source of each.")
    definition = ready(read, where=where)
    config["dataset"] = "" if _is_folder(read) else read.location
    if definition is None:
        config["text"] = options["text"] or "text"
        return
    if definition.languages and options["patterns"]:
        raise RequestError("patterns choose the files, and so do languages", where=where, remedy="Keep one of them.")
    if not _is_folder(read) and options["as"] is None:
        config["dataset"] = definition.hub
    fields = dict(definition.fields) | config.pop("columns", {})
    config |= {
        "patterns": list(options["patterns"]) or list(definition.patterns),
        "text": options["text"] or definition.text,
        "id": options["id"] or definition.id,
        "fields": {key: [value] if isinstance(value, str) else list(value) for key, value in fields.items()},
        "constants": {
            key: value for key, value in definition.constants.items() if key not in (options["fields"] or {})
        },
        "render": definition.render,
    }
    if definition.languages:
        config["languages"] = {one: list(globs) for one, globs in definition.languages.items()}


def _columns(columns: Mapping[str, str], text: str | None, where: str | None) -> dict[str, str]:
    for field, column in columns.items():
        if column == (text or "text"):
            raise RequestError(
                f"{column!r} is the text, and cannot be the field {field!r}, too",
                where=where,
                remedy="Name the column of that field, or the text's: text: COLUMN",
            )
    return dict(sorted(columns.items()))


def _check_license(license: str | None, collection: str, rules: Sequence[Any], where: str | None) -> None:
    """A collection whose licences differ has a sentence for them, by which no document can be judged."""
    from pretrial.corpus.licences.expression import parse

    if license == collection and parse(normalise(license)) is None and any(rule[0] == "license" for rule in rules):
        raise RequestError(
            f"the rule license would drop every document: none names a licence, and the collection's is {license!r}",
            where=where,
            remedy="Leave the rule out, or say which licence they have: license: …",
        )


def unknown(what: str, name: str, known: Sequence[str], where: str | None) -> RequestError:
    """The error for a word that is not known, with the nearest that is."""
    near = difflib.get_close_matches(name, known, 1)
    return RequestError(
        f"there is no {what} {name!r} here",
        where=where,
        remedy=f"Did you mean {near[0]}?" if near else f"Known: {', '.join(known)}.",
    )
