"""Sources that a file says, read, derived or split, and the parts of split ones, SOURCE/VALUE.

Guarantees: a part has one name however its language is spelled; it comes to be where a key first names it, so parts
stand after the sources that are said, in the order of the keys. The corpus room is asked key by key: a problem that it
finds has the line of its key.

Does not: read documents. Whether a part has any is known only where the study says which values there are.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from pretrial.errors import RequestError
from pretrial.study import families
from pretrial.study.form import SourceForm, StudyForm
from pretrial.study.problems import Problems, did_you_mean
from pretrial.study.schema import Read, Source


def check_names(form: StudyForm, problems: Problems) -> None:
    """No source is called what results use as a word, or what a part of another is called."""
    from pretrial.evaluate.spec import RESERVED

    for name in sorted(RESERVED & set(form.sources)):
        problems.add(
            f"sources.{name}",
            f"no source can be called {name!r}: results use the word for a mean over sources",
            "give it another name",
        )
    for name in form.sources:
        if (whole := _whole(name, form)) is not None:
            problems.add(
                f"sources.{name}",
                f"{name!r} is the name of a part of {whole!r}, which is split by {form.sources[whole].split}",
                "give it another name",
            )


class Sources:
    """The sources of a form, and the parts of split ones that its keys name.

    Attributes:
        by_name: sources that are said, in the order of the form, then parts, in the order in which `of` was asked.
        named: parts by the dotted key that names them first.
    """

    def __init__(self, form: StudyForm, problems: Problems) -> None:
        self.form, self.problems = form, problems
        self.by_name = {
            name: _as_named(name, _source(said, f"sources.{name}", form, problems))
            for name, said in form.sources.items()
        }
        self.named: dict[str, str] = {}

    def of(self, name: str, path: str) -> str | None:
        """A source by the name that a key gives it, in the spelling used here; `None`, and a problem, for none."""
        if name in self.form.sources:
            return name
        part, whole = spelled(name, self.form), _whole(name, self.form)
        if whole is None:
            before = name.rpartition("/")[0]
            remedy = (
                f"give {before!r} the field to split it by, such as `split: language`"
                if before in self.form.sources
                else did_you_mean(name, self.by_name)
            )
            self.problems.add(path, f"no source is called {name!r}", remedy)
            return None
        if part not in self.by_name:
            said = self.form.sources[whole]
            assert said.split is not None  # _whole
            value = part.removeprefix(f"{whole}/")
            values = self.values(whole, said.split)
            if values is not None and not set(_items(said.split, value)) & set(values):
                self.problems.add(
                    path, f"{whole!r} has no documents whose {said.split} is {value!r}", did_you_mean(value, values)
                )
                return None
            self.by_name[part] = Source(
                None, parent=whole, keep={said.split: (value,)}, max_epochs=said.max_epochs, is_part=True
            )
            self.named[part] = path
        return part

    def values(self, name: str, field: str) -> list[str] | None:
        """The values that a field of a source's documents can have; `None` where only the documents know."""
        from pretrial.corpus.kinds import KINDS
        from pretrial.corpus.languages import canonical
        from pretrial.corpus.licences.names import part as licence_part
        from pretrial.corpus.spec import LANGUAGE_SETS

        said: list[Iterable[str]] = []
        for at in families.line(self.by_name, name):
            source = self.by_name[at]
            kept = (source.keep or {}).get(field)
            if isinstance(kept, tuple):
                said.append(kept)
            if field == "language" and source.read is not None and "languages" in KINDS[source.read.kind].options:
                read = source.read.options["languages"] or _default_languages(source.read)
                if read:
                    said.append([one for word in read for one in LANGUAGE_SETS.get(word, (word,))])
        if not said:
            return None
        spelling = canonical if field == "language" else licence_part if field == "license" else str
        first, *others = ([spelling(value) for value in values] for values in said)
        return [value for value in dict.fromkeys(first) if all(value in other for other in others)]

    def check_parents(self) -> None:
        """Derived sources: the parent exists, and no source is made from itself."""
        for name, source in self.form.sources.items():
            if source.from_ is not None:
                self.of(source.from_, f"sources.{name}.from")
        for name in self.form.sources:
            line = families.line(self.by_name, name)
            if self.by_name[line[-1]].parent == name:
                self.problems.add(
                    f"sources.{name}.from",
                    "sources are made from each other in a circle: " + " from ".join([*line, name]),
                )


def _default_languages(read: Read) -> tuple[str, ...]:
    """Languages of a reading that names none: the paper's, or of a dataset the one that its definition says, if any."""
    from pretrial.corpus.spec import ready

    if read.kind != "hub":
        return ("code",)
    with contextlib.suppress(RequestError):
        definition = ready(read)
        if definition is not None and "language" in definition.constants:
            return (definition.constants["language"],)
    return ()


def _source(form: SourceForm, path: str, study: StudyForm, problems: Problems) -> Source:
    read = None if form.read is None else Read(*form.read.chosen, form.read.options)
    parent = None if form.from_ is None else spelled(form.from_, study)
    source = Source(
        read, form.filter, form.group or "", form.license, form.keep, form.max_epochs, parent, form.transform
    )
    for what, calls in (("rule", form.filter), ("transform", form.transform)):
        names = [call if isinstance(call, str) else call[0] for call in calls]
        if len(set(names)) < len(names):
            problems.add(f"{path}.{'filter' if what == 'rule' else what}", f"a {what} is listed twice")
    if read is not None and read.kind == "hub" and (folder := _meant_folder(read, problems)) is not None:
        problems.add(
            f"{path}.read.hub",
            f"there is a folder {folder} here, and {folder} is read as a dataset of the hub",
            f"write ./{folder} for the folder, or the dataset's revision",
        )
        return source
    _check_corpus(source, path, problems)
    _check_pinned(source, path, problems)
    return source


def _as_named(name: str, source: Source) -> Source:
    """The source; a part where its name says so, since a resolved study lists the parts that it uses as sources."""
    if source.parent is None or source.filter or source.transform or source.keep is None or len(source.keep) != 1:
        return source
    (values,) = source.keep.values()
    is_part = isinstance(values, tuple) and [f"{source.parent}/{value}" for value in values] == [name]
    return replace(source, is_part=is_part)


def _check_corpus(source: Source, path: str, problems: Problems) -> None:
    """What only the corpus room knows: readers, languages, groups, rules. Key by key, for the lines."""
    from pretrial.corpus.kinds import KINDS
    from pretrial.corpus.spec import source_config

    bare = replace(source, filter=(), transform=(), group="document", keep=None)
    probes: list[tuple[str, Source]] = []
    if source.read is not None:
        options = dict(source.read.options)
        # What a dataset is depends on its definition, and that one's name may need languages beside it.
        needed = {name: options[name] for name in ("as", "languages") if source.read.kind == "hub" and options[name]}
        bare = replace(bare, read=replace(source.read, options=needed))
        probes += [(f"{path}.read.{next(iter(needed), source.read.kind)}", bare)]
        if "languages" in options and "languages" in KINDS[source.read.kind].options:
            only = replace(source.read, options=needed | {"languages": options["languages"]})
            probes.append((f"{path}.read.languages", replace(bare, read=only)))
        for name, value in options.items():
            if name != "languages" or name not in KINDS[source.read.kind].options:
                one = replace(bare, read=replace(source.read, options=needed | {name: value}))
                probes.append((f"{path}.read.{name.replace('_', '-')}", one))
    probes += [(f"{path}.group", replace(bare, group=source.group)), (f"{path}.keep", replace(bare, keep=source.keep))]
    probes += [(f"{path}.filter.{i}", replace(bare, filter=(rule,))) for i, rule in enumerate(source.filter)]
    probes += [(f"{path}.filter", replace(bare, filter=source.filter))]
    probes += [(f"{path}.transform.{i}", replace(bare, transform=(one,))) for i, one in enumerate(source.transform)]
    said: set[str] = set()
    for key, probe in probes:
        try:
            source_config(probe)
        except RequestError as error:
            if error.what not in said:
                problems.add(key, error.what, error.remedy)
            said.add(error.what)
            if probe is bare:
                return


def _check_pinned(source: Source, path: str, problems: Problems) -> None:
    """A dataset of the hub is read at a commit: what a study reads must not change under it."""
    from pretrial.corpus.spec import source_config

    if source.read is None or source.read.kind != "hub":
        return
    try:
        read = source_config(source)["read"]
    except RequestError:
        return  # _check_corpus says it.
    # A folder in the hub's layout has no dataset, and is known by its files.
    if read["dataset"] and not re.fullmatch("[0-9a-f]{40}", read["revision"] or ""):
        problems.add(
            f"{path}.read.{'hub' if read['revision'] is None else 'revision'}",
            f"{read['dataset']} is not pinned to a commit: what a study reads must not change under it",
            "write revision: COMMIT (40 hex digits; it stands on the dataset's page)",
        )


def _meant_folder(read: Read, problems: Problems) -> str | None:
    """The location of a dataset that is no ready definition and at no revision, where a folder has that name."""
    from pretrial.corpus.readers.catalogue import names

    said = str(read.location)
    known = {one.partition("/")[0] for one in names()}
    if read.options.get("revision") or said.startswith(("{", ".", "/", "~")) or said.partition("/")[0] in known:
        return None
    beside = Path(problems.origin).parent if problems.marks else Path.cwd()
    return said if (beside / said).is_dir() else None


def _whole(part: str, form: StudyForm) -> str | None:
    """The split source of which a name is a part, SOURCE/VALUE: the longest that fits."""
    fitting = [
        name for name, said in form.sources.items() if said.split and part.startswith(f"{name}/") and part != f"{name}/"
    ]
    return max(fitting, key=len, default=None)


def spelled(name: str, form: StudyForm) -> str:
    """A source's name as it stands in a study: `code/C++` and `code/cpp` are one part, `code/mit` is `code/MIT`."""
    from pretrial.corpus.languages import canonical
    from pretrial.corpus.licences.names import part as licence_part

    whole = None if name in form.sources else _whole(name, form)
    if whole is None or (field := form.sources[whole].split) not in ("language", "license"):
        return name
    value = name.removeprefix(f"{whole}/")
    return f"{whole}/{canonical(value) if field == 'language' else licence_part(value)}"


def _items(field: str, value: str) -> list[str]:
    """A part's value, and what it consists of where it is that of a list: a list is kept for one of its items."""
    return [value, *value.split(" AND " if field == "license" else ", ")]
