"""Git repositories made object by object, as a test needs them; no git runs."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dulwich import objects
from dulwich.repo import Repo

PERSON = b"A Person <a@example.org>"


def make(folder: Path, *, bare: bool = False, **options: Any) -> Any:
    """A repository without a commit, on branch `main`."""
    folder.mkdir(parents=True, exist_ok=True)
    repo: Any = (Repo.init_bare if bare else Repo.init)(str(folder), **options)
    repo.refs.set_symbolic_ref(b"HEAD", b"refs/heads/main")
    return repo


def blob(repo: Any, data: bytes) -> objects.ObjectID:
    made = objects.Blob.from_string(data)
    repo.object_store.add_object(made)
    return made.id


def tree(repo: Any, files: Mapping[str, Any]) -> objects.ObjectID:
    """A tree of contents by path; a (mode, id) stands for itself."""
    made = objects.Tree()
    folders: dict[str, dict[str, Any]] = {}
    for path, what in files.items():
        name, _, rest = path.partition("/")
        if rest:
            folders.setdefault(name, {})[rest] = what
        else:
            made.add(os.fsencode(name), *(what if isinstance(what, tuple) else (0o100644, blob(repo, what))))
    for name, inside in folders.items():
        made.add(os.fsencode(name), 0o040000, tree(repo, inside))
    repo.object_store.add_object(made)
    return made.id


def commit(repo: Any, files: Mapping[str, Any] | bytes, *, branch: str = "main") -> str:
    """A commit of a tree, or of files, on a branch."""
    made = objects.Commit()
    made.tree = files if isinstance(files, bytes) else tree(repo, files)
    made.author = made.committer = PERSON
    made.author_time = made.commit_time = 1_700_000_000
    made.author_timezone = made.commit_timezone = 0
    made.message = b"Message\n"
    repo.object_store.add_object(made)
    repo.refs[f"refs/heads/{branch}".encode()] = made.id
    return made.id.decode()
