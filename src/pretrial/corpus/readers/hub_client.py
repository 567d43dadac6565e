"""The Hugging Face hub's client, quiet and without telemetry, and its errors in the words of this project.

Guarantees: nothing is imported before telemetry is off; offline settings are kept to; what the hub refuses says what
to do (accept terms, log in, name a local copy). The endpoint is that of HF_ENDPOINT when it is called.
Does not: retry beyond what the client does, or look into the cache in the place of the hub.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, NoReturn

from pretrial.corpus.readers.record import excerpt
from pretrial.errors import PretrialError, RequestError, RunError

HUB = "https://huggingface.co"


def endpoint() -> str:
    """Where the hub is: HF_ENDPOINT, for a mirror, or the public one."""
    return (os.environ.get("HF_ENDPOINT") or HUB).rstrip("/")


def _offline() -> bool:
    return any(
        (os.environ.get(name) or "").upper() in ("1", "ON", "YES", "TRUE")
        for name in ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE", "HF_DATASETS_OFFLINE")
    )


def client(id: str, where: str | None, ready: str = "") -> Any:
    """The hub's client, quiet, with telemetry off before it is imported. `ready` is as in `explaining`."""
    if _offline():
        raise RequestError(
            f"{id} is a dataset on the hub, and the environment says to stay offline",
            where=where,
            remedy=f"Unset HF_HUB_OFFLINE, {_copy(id, ready)}",
        )
    for name in ("HF_HUB_DISABLE_TELEMETRY", "DO_NOT_TRACK", "HF_HUB_DISABLE_UPDATE_CHECK"):
        os.environ[name] = "1"
    try:
        import huggingface_hub
        from huggingface_hub import constants
        from huggingface_hub.utils.tqdm import disable_progress_bars
    except ImportError as error:
        raise RequestError(
            f"{id} is a dataset on the hub, and huggingface_hub is not installed",
            where=where,
            remedy=f"pip install huggingface_hub, {_copy(id, ready)}",
        ) from error
    # Whoever imported it before us may have done so with telemetry on.
    constants.HF_HUB_DISABLE_TELEMETRY = True
    disable_progress_bars()
    return huggingface_hub.HfApi(endpoint=endpoint(), library_name="pretrial")


def _copy(id: str, ready: str) -> str:
    """How to read a copy of a dataset in its place, and where the cache has something of it, in words."""
    home = Path(os.environ.get("HF_HOME") or Path.home() / ".cache" / "huggingface").expanduser()
    hub = Path(os.environ.get("HF_HUB_CACHE") or home / "hub").expanduser()
    folder = hub / ("datasets--" + id.replace("/", "--"))
    how = f": hub: FOLDER, as: {ready}" if (ready := ready or _ready(id)) else "."
    return f"or name the folder of a local copy{how}" + (
        f"{'' if how == '.' else '.'} The cache has some of it: {folder}" if folder.is_dir() else ""
    )


def _ready(id: str) -> str:
    """The ready definitions that read a dataset, in words."""
    from pretrial.corpus.readers.catalogue import DEFINITIONS, named

    found = [named(one) for one in DEFINITIONS if one.hub == id and not one.unusable]
    return " or ".join(found)


@contextlib.contextmanager
def remote(id: str, revision: str, name: str, size: int, where: str | None) -> Iterator[IO[bytes]]:
    """A file on the hub as one that can be sought in; every read is a request for a range of it.

    Raises:
        RunError: when its size is not `size`, in bytes.
    """
    client(id, where)
    from huggingface_hub import HfFileSystem

    # No cache of blocks: Arrow asks for what it needs, once.
    system = HfFileSystem(endpoint=endpoint(), skip_instance_cache=True)
    with system.open(f"datasets/{id}@{revision}/{name}", "rb", cache_type="none") as handle:
        if handle.size != size:
            raise RunError(
                f"{name} of {id} has {handle.size} bytes, planned were {size}",
                where=where,
                remedy="Plan again: the mirror does not serve the commit that was planned.",
            )
        yield handle


@contextlib.contextmanager
def explaining(
    id: str,
    revision: str | None,
    where: str | None,
    kind: type[PretrialError],
    *,
    answers: bool = False,
    ready: str = "",
) -> Iterator[None]:
    """Errors of the hub's client as ours.

    `kind` is for a hub that cannot be reached now: at planning a request's error, later a run's, which may go on.
    `answers`: also take an answer that the client cannot read for such an error. `ready` is the definition by which
    the dataset is read, with which a copy can be read, too; "" names all of the dataset.
    """
    try:
        yield
    except PretrialError:
        raise
    except Exception as error:
        if not _of_network(error) and not (answers and isinstance(error, ValueError | KeyError | TypeError)):
            raise
        _explain(error, id, revision, where, kind, ready)


def _of_network(error: Exception) -> bool:
    from huggingface_hub.errors import HfHubHTTPError

    # The base beside OSError is that of the HTTP library in use (requests, httpx or httpx2: it changed twice).
    if isinstance(error, (*HfHubHTTPError.__bases__[:1], ConnectionError, TimeoutError)):
        return True
    # The client's own errors of this kind have no number; a full disk has one and is not the network.
    return isinstance(error, OSError) and error.errno is None


def _explain(
    error: Exception, id: str, revision: str | None, where: str | None, kind: type[PretrialError], ready: str
) -> NoReturn:
    from huggingface_hub import get_token
    from huggingface_hub.errors import (
        DisabledRepoError,
        EntryNotFoundError,
        GatedRepoError,
        HfHubHTTPError,
        LocalEntryNotFoundError,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    at = endpoint()
    page = f"{at}/datasets/{id}"
    copy = _copy(id, ready)
    if isinstance(error, LocalEntryNotFoundError) and isinstance(error.__cause__, Exception):
        # The client found nothing in its cache after a request failed; that request's error says more.
        error = error.__cause__
    status = error.response.status_code if isinstance(error, HfHubHTTPError) else 0
    if isinstance(error, DisabledRepoError):
        raise RequestError(f"the hub has disabled {id}", where=where, remedy=f"Read why at {page}, {copy}") from error
    if isinstance(error, GatedRepoError) or (status == 403 and not isinstance(error, RepositoryNotFoundError)):
        who = "the account of the token has no access" if get_token() else "no token is set"
        raise RequestError(
            f"{id} is gated: its terms must be accepted, and {who}",
            where=where,
            remedy=f"Accept the terms at {page}, then run `hf auth login` or set HF_TOKEN, {copy}",
        ) from error
    if isinstance(error, RevisionNotFoundError):
        raise RequestError(
            f"{id} has no revision {revision!r}",
            where=where,
            remedy=f"Take a commit, branch or tag from {page}/commits/main",
        ) from error
    if isinstance(error, EntryNotFoundError) and not isinstance(error, LocalEntryNotFoundError):
        raise RequestError(
            f"{id} has no such file at {revision}: {excerpt(str(error))}",
            where=where,
            remedy=f"Look at {page}/tree/main",
        ) from error
    if isinstance(error, RepositoryNotFoundError) or status in (401, 404):
        raise RequestError(
            f"there is no dataset {id} at {at}, or it is private",
            where=where,
            remedy=f"Check the name; for a private one run `hf auth login` or set HF_TOKEN, {copy}",
        ) from error
    what = f"answered {status}" if status else f"cannot be reached: {_last_line(error)}"
    if isinstance(error, ValueError | KeyError | TypeError) and not isinstance(error, OSError):
        what = "does not answer as a hub does"
    raise kind(
        f"{id}: {at} {what}",
        where=where,
        remedy=f"Try again later, check the connection or proxy, set HF_ENDPOINT to a mirror, {copy}",
    ) from error


def _last_line(error: Exception) -> str:
    return excerpt((str(error).strip() or type(error).__name__).splitlines()[-1])
