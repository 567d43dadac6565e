"""The pool of a Ray cluster: sub-steps run on its nodes, one processor each.

Guarantees. A node runs the function that a process of this machine would run, with the same arguments, into the same
store. Before anything is made, and again in each process that joins later, a node is checked: it sees this store, its
locks are ours, it can write there, and what is installed has the versions that are installed here. A file that a
sub-step reads outside the store must be the same there as here. What a node or a process had in hand when it died
is made again elsewhere, at most `RETRIES` times. Ray sends no usage statistics and starts no dashboard for us, and of
one that is started here nothing asks which cloud this is (`_without_dashboard`).

What it does not do. It installs nothing on nodes and copies no files to them. When the machine dies that holds the
cluster's head, or this one, the run ends as if it had been killed; the same command goes on. Files of other size
or age are noticed, not files that were changed with both kept.
"""

from __future__ import annotations

import hashlib
import os
import platform
import re
import signal
import socket
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import cache
from importlib import import_module, metadata
from pathlib import Path
from typing import Any

import pretrial
from pretrial.errors import Interrupted, RequestError, RunError
from pretrial.execute.pool import LOOK_SECONDS, LostWorkerError
from pretrial.execute.worker import Substep, run_substep
from pretrial.store.artefacts import MANIFEST, Store
from pretrial.store.locks import HeldError, locked

Json = dict[str, Any]
LOCAL = "local"
AUTO = "auto"
RETRIES = 3
"""How often a sub-step is made again whose node or process died; what it does may be what kills them."""
VISIBLE_SECONDS = 120.0
"""How long a file of another node may stay unseen here: NFS remembers for up to a minute that a name was absent."""
SILENT = {
    "RAY_USAGE_STATS_ENABLED": "0",
    # What Ray says of its own accord goes to standard output, which is for results.
    "RAY_DEDUP_LOGS_SKIP_REGEX": ".",
    # Daft in a process that Ray knows takes the whole cluster for itself, unless it is told.
    "DAFT_RUNNER": "native",
}
"""Environment of the main process, set before Ray is imported."""
# A worker of a cluster has the environment of its node, not that of `pretrial.cli`.
_WORKER = {"DO_NOT_TRACK": "1", "HF_HUB_DISABLE_TELEMETRY": "1", "SCARF_NO_ANALYTICS": "1", "DAFT_RUNNER": "native"}
_CONNECT_SECONDS = 5.0
_JOIN_SECONDS = 60
_CHECK_SECONDS = 60.0
_WATCH_SECONDS = 5.0
_STORE_BYTES = 100 << 20
_NAMED = 5
_ADDRESS = re.compile(r"(?P<host>[^\s/:]+|\[[0-9A-Fa-f:.]+\]):(?P<port>\d{1,5})")
_JOIN = """\
import signal, sys
signal.alarm(int(sys.argv[2]))  # whoever asked may be gone
import ray
ray.init(address=sys.argv[1], log_to_driver=False, logging_level="ERROR")
"""


@dataclass(frozen=True)
class Ticket:
    """A sub-step that the cluster was given: Ray's reference, and where the artefact will be seen."""

    task: Any
    manifest: Path


class RayPool:
    """See `Pool`. Connects, and checks every node, when it is made.

    Args:
        address: `HOST:PORT` of a cluster's head, `auto` for the cluster that this machine belongs to, or `local` for
            one that is started here and ends with us. This machine must be a node of the cluster, if one without
            processors for sub-steps.
        store: where artefacts are; on a file system that all nodes mount at the same path.
        workers: processors of a cluster that is started here.
        say: told when a node is lost.
        stop: whether to stop waiting for the cluster.

    Raises:
        RequestError: when Ray is missing, the cluster cannot be reached, or a node is not fit to work on this store.
        Interrupted: when `stop()` became true meanwhile.
    """

    def __init__(
        self,
        address: str,
        store: Store,
        *,
        workers: int = 1,
        say: Callable[[str], None] = lambda message: None,
        stop: Callable[[], bool] = lambda: False,
    ) -> None:
        self._address = address
        self._store = store
        self._say = say
        self._open: list[Any] = []
        self._nodes: dict[str, str] = {}
        self._watched = time.monotonic()
        self._check = f"cluster-{uuid.uuid4().hex}"
        # Undone in reverse, also where opening fails half-way.
        self._closing = ExitStack()
        with ExitStack() as opening:
            opening.push(self._closing)
            if address != LOCAL:
                check_address(address)
            self._ray = _import()
            self._connect(workers, stop)
            # Held while the pool is open: other nodes must find it held.
            self._closing.callback(self._lock.unlink, missing_ok=True)
            self._closing.enter_context(store.lock(self._check, "checking a cluster"))
            self._folder = store.scratch(self._check)
            self._closing.callback(_remove, self._folder)
            self._examine(stop)
            opening.pop_all()
        self._make = self._ray.remote(num_cpus=1, max_retries=RETRIES)(make)

    def submit(self, calls: Sequence[Substep]) -> Sequence[Ticket]:
        """See `Pool`."""
        mine = installation()
        shared: dict[int, Any] = {}
        tickets = []
        for call in calls:
            # Inputs are the same for all sub-steps of a step, and may be large: they travel once.
            if id(call.inputs) not in shared:
                shared[id(call.inputs)] = self._ray.put(dict(call.inputs))
            alone = Substep(**{**vars(call), "inputs": {}})
            task = self._make.remote(alone, shared[id(call.inputs)], sources(call.settings), self._check, mine)
            tickets.append(Ticket(task, call.root / "artefacts" / call.kind / call.key / MANIFEST))
        self._open += [ticket.task for ticket in tickets]
        return tickets

    def results(self, tickets: Sequence[Ticket], stop: Callable[[], bool]) -> Iterator[list[str]]:
        """See `Pool`."""
        done = 0
        try:
            for ticket in tickets:
                while not self._ray.wait([ticket.task], timeout=LOOK_SECONDS)[0]:
                    if stop():
                        raise Interrupted("stopped on request")
                    if time.monotonic() - self._watched > _WATCH_SECONDS:
                        self._watch()
                        self._check_nodes()
                warnings = self._result(ticket.task)
                until_seen(ticket.manifest, stop)
                done += 1
                yield warnings
            self._watch()
        finally:
            for ticket in tickets[done:]:
                # One that has begun does not hear it: see `make`.
                self._ray.cancel(ticket.task)
            if self._open:
                _, self._open = self._ray.wait(self._open, num_returns=len(self._open), timeout=0)

    def close(self, *, now: bool = False) -> None:
        """See `Pool`."""
        try:
            begun, self._open = self._open, []
            while begun and not now:
                _, begun = self._ray.wait(begun, num_returns=len(begun), timeout=LOOK_SECONDS)
        finally:
            self._closing.close()

    # -- inside ----------------------------------------------------------------------------------------------

    @property
    def _lock(self) -> Path:
        return self._store.root / "locks" / f"{self._check}.lock"

    def _connect(self, workers: int, stop: Callable[[], bool]) -> None:
        ray = self._ray
        if ray.is_initialized():
            # A notebook's own connection: ours as a guest.
            if self._address != AUTO:
                raise RequestError(
                    "this process is connected to a Ray cluster already",
                    remedy="Run on that one, with the cluster auto, or call ray.shutdown() before.",
                )
            return
        quiet: Json = {"log_to_driver": False, "logging_level": "ERROR"}
        if self._address == LOCAL:
            quiet |= {
                "num_cpus": workers,
                "include_dashboard": False,
                "object_store_memory": _STORE_BYTES,
                "_node_ip_address": "127.0.0.1",
            }
        else:
            _try_joining(self._address, stop)
        before = signal.getsignal(signal.SIGTERM)
        self._closing.callback(_restore, before)
        self._closing.callback(ray.shutdown)
        try:
            with _without_dashboard():
                ray.init(address=self._address, **quiet)
        except (RuntimeError, ConnectionError, ValueError, OSError) as error:
            raise _unreachable(self._address, str(error)) from error
        _restore(before)

    def _examine(self, stop: Callable[[], bool]) -> None:
        """Raise `RequestError` for the first node that is not fit, and where there is none."""
        mine = installation()
        self._nodes = self._alive()
        if not self._nodes:
            raise RequestError(
                f"the cluster at {self._address} has no node with a processor for sub-steps",
                remedy="Add nodes to it, or leave --cluster out.",
            )
        on = self._ray.util.scheduling_strategies.NodeAffinitySchedulingStrategy
        ask = self._ray.remote(num_cpus=0, max_retries=RETRIES)(_question())
        asked = {
            ask.options(scheduling_strategy=on(node, soft=False)).remote(str(self._store.root), self._check): node
            for node in self._nodes
        }
        waiting = list(asked)
        deadline = time.monotonic() + _CHECK_SECONDS
        while waiting:
            answered, waiting = self._ray.wait(waiting, timeout=LOOK_SECONDS)
            for task in answered:
                node = asked[task]
                try:
                    said = self._ray.get(task)
                except self._ray.exceptions.RayError as error:
                    if node not in self._alive():
                        # It went while it was asked, and is none of ours.
                        self._nodes.pop(node)
                        continue
                    raise RequestError(f"{self._name(node)} of the cluster cannot be used: {error}") from error
                wrong = fault(mine, said, self._name(node), self._store.root)
                if wrong is not None:
                    raise RequestError(wrong[0], remedy=wrong[1])
                until_seen(self._folder / said["wrote"], stop)
            if stop():
                raise Interrupted("stopped on request")
            if waiting and time.monotonic() > deadline:
                raise RequestError(
                    f"{self._name(asked[waiting[0]])} of the cluster does not answer",
                    remedy="Look at it with `ray status`; take it out of the cluster, or start it again.",
                )

    def _alive(self) -> dict[str, str]:
        """Host names of living nodes that have processors, by identifier."""
        return {
            node["NodeID"]: node["NodeManagerHostname"]
            for node in self._ray.nodes()
            if node["Alive"] and node["Resources"].get("CPU", 0) >= 1
        }

    def _name(self, node: str) -> str:
        return f"node {self._nodes[node]} ({node[:8]})"

    def _watch(self) -> None:
        """Say which nodes went since the last look."""
        self._watched = time.monotonic()
        alive = self._alive()
        for node in self._nodes.keys() - alive.keys():
            self._say(f"{self._name(node)} of the cluster is gone; what it had in hand is made again elsewhere")
        self._nodes = alive

    def _check_nodes(self) -> None:
        if not self._nodes:
            raise RunError(
                f"no node of the cluster at {self._address} is left", remedy="Run the same command again to go on."
            )

    def _result(self, task: Any) -> list[str]:
        errors = self._ray.exceptions
        try:
            warnings: list[str] = self._ray.get(task)
        except errors.RayTaskError as error:
            # What the sub-step raised; with its traceback there unless it is said to people.
            known = isinstance(error.cause, RunError | RequestError | Interrupted)
            raise error.cause from (None if known else error)
        except (errors.WorkerCrashedError, errors.NodeDiedError, errors.OutOfMemoryError) as error:
            raise LostWorkerError(
                f"a worker process of the cluster died {RETRIES + 1} times over the same part",
                remedy="Often that is a node's memory running out; give the cluster's nodes fewer processors.",
            ) from error
        except errors.RayError as error:
            raise RunError(
                f"the cluster at {self._address} failed: {error}", remedy="Run the same command again to go on."
            ) from error
        return warnings


def make(call: Substep, inputs: Mapping[str, Any], outside: Mapping[str, Json], check: str, mine: Json) -> list[str]:
    """What a task of the cluster does: see that the node is fit, then what a local process does.

    Raises:
        RunError: when this node is not fit, or a file outside the store is not what the main process sees.
    """
    if threading.current_thread() is threading.main_thread():
        # So Ray interrupts what it cancels. The main process lets finish what has begun.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.environ.update(_WORKER)
    name = f"node {platform.node()}"
    wrong = _fit(call.root, check, tuple(sorted(mine.items())), name)
    if wrong is not None:
        raise RunError(wrong[0], remedy=wrong[1])
    for path, seen in outside.items():
        if _state(path) != seen:
            raise RunError(
                f"{name} of the cluster does not see {path} as this machine does",
                remedy="Put sources on a file system that all nodes mount at the same path.",
            )
    return run_substep(Substep(**{**vars(call), "inputs": inputs}))


@cache
def _fit(root: Path, check: str, mine: tuple[tuple[str, str], ...], name: str) -> tuple[str, str] | None:
    """Asked once in each process of the cluster: a node may join while others work."""
    return fault(dict(mine), examine(str(root), check), name, root)


# -- what a node must have ---------------------------------------------------------------------------------------------


def examine(root: str, check: str) -> Json:
    """What a node sees of a store, and what is installed there.

    Args:
        root: the store's path.
        check: name of a lock that the main process holds, and of the folder that goes with it.

    Returns:
        `installed` (see `installation`), `sees` (the store, and this very one), `locked` (whether the lock is found
        held), `wrote` (name of a file that it wrote into the folder; empty where it could not).
    """
    store = Path(root)
    folders = list((store / "tmp").glob(f"{check}.*"))
    said: Json = {"installed": installation(), "sees": False, "locked": False, "wrote": ""}
    if not folders or not (store / "layout.json").is_file():
        return said
    said["sees"] = True
    try:
        with locked(store / "locks" / f"{check}.lock", "checking a cluster", wait=False):
            pass
    except HeldError:
        said["locked"] = True
    try:
        name = uuid.uuid4().hex
        (folders[0] / name).write_text(platform.node())
        said["wrote"] = name
    except OSError:
        # Said by the empty name.
        pass
    return said


def fault(mine: Mapping[str, str], said: Mapping[str, Any], name: str, root: Path) -> tuple[str, str] | None:
    """Why a node cannot be used and what to do, from what `examine` says of it; `None` for one that can."""
    if said.get("missing"):
        return (
            f"Pretrial cannot be loaded on {name} of the cluster: {said['missing']}",
            "Install the same version of Pretrial on every node.",
        )
    theirs = said["installed"]
    differ = [what for what in mine if mine[what] != theirs.get(what, "")]
    if differ:
        parts = [f"{what} {theirs.get(what) or 'missing'} (here {mine[what] or 'missing'})" for what in differ[:_NAMED]]
        more = f" and {len(differ) - _NAMED} more" if len(differ) > _NAMED else ""
        return (
            f"{name} of the cluster has {', '.join(parts)}{more}",
            "Install the same versions on every node: other versions may write other bytes.",
        )
    if not said["sees"]:
        return (
            f"{name} of the cluster does not see the store at {root}",
            "Put the store on a file system that every node mounts at the same path, and name it with --store.",
        )
    if not said["locked"]:
        return (
            f"{name} of the cluster does not see the locks of the store at {root}",
            "Mount its file system so that flock works between machines: NFS 4, or Lustre with the option flock.",
        )
    if not said["wrote"]:
        return (
            f"{name} of the cluster may not write to the store at {root}",
            "Run Ray there as the user who runs Pretrial.",
        )
    return None


@cache
def installation() -> dict[str, str]:
    """Versions of what decides the bytes that sub-steps write: interpreter, Pretrial with its code, what it needs."""
    found = {
        "Python": platform.python_version(),
        "machine": platform.machine(),
        "Pretrial": pretrial.__version__,
        "Pretrial's code": _code(),
    }
    try:
        needed = metadata.requires("pretrial") or []
    except metadata.PackageNotFoundError:
        # Run from its sources.
        needed = []
    for line in needed:
        name = re.match(r"[\w.-]+", line)
        if name and "extra ==" not in line:
            try:
                # A build for other hardware (torch 2.11+cpu) has the same code.
                found[name[0]] = metadata.version(name[0]).partition("+")[0]
            except metadata.PackageNotFoundError:
                found[name[0]] = ""
    return found


def _code() -> str:
    folder = Path(pretrial.__file__).parent
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*.py")):
        digest.update(path.relative_to(folder).as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()[:12]


def _question() -> Callable[[str, str], Json]:
    """`examine`, in a form that reaches a node without Pretrial and says so there.

    A function inside a function travels by value; one of a module would only be named.
    """

    def ask(root: str, check: str) -> Any:
        try:
            from pretrial.execute.cluster import examine
        except ImportError as error:
            return {"missing": str(error)}
        return examine(root, check)

    return ask


# -- files -------------------------------------------------------------------------------------------------------------


def sources(settings: Any) -> dict[str, Json]:
    """What the main process sees of each existing file or folder that settings name by its absolute path."""
    if isinstance(settings, Mapping):
        settings = list(settings.values())
    if isinstance(settings, list | tuple):
        return {path: seen for value in settings for path, seen in sources(value).items()}
    if isinstance(settings, str | Path) and Path(settings).is_absolute() and (seen := _state(str(settings))):
        return {str(settings): seen}
    return {}


def _state(path: str) -> Json:
    try:
        stat = Path(path).stat()
    except (OSError, ValueError):
        return {}
    if Path(path).is_dir():
        return {"folder": True}
    # Whole seconds: some file systems keep no more.
    return {"bytes": stat.st_size, "modified": int(stat.st_mtime)}


def until_seen(path: Path, stop: Callable[[], bool], *, seconds: float = VISIBLE_SECONDS) -> None:
    """Wait until a file that another node has written is seen here.

    Raises:
        RunError: when it is not after so many seconds.
        Interrupted: when `stop()` became true meanwhile.
    """
    deadline = time.monotonic() + seconds
    while not path.exists():
        if stop():
            raise Interrupted("stopped on request")
        if time.monotonic() > deadline:
            raise RunError(
                f"{path} was written by another node and is not seen here after {seconds:.0f} seconds",
                remedy="Mount the store's file system with shorter attribute caching, then run again to go on.",
            )
        time.sleep(min(LOOK_SECONDS, seconds / 10))


def _remove(folder: Path) -> None:
    for path in folder.iterdir():
        path.unlink(missing_ok=True)
    folder.rmdir()


# -- connecting --------------------------------------------------------------------------------------------------------


def check_address(address: str) -> None:
    """Raise `RequestError` unless an address is `auto` or a `HOST:PORT` where something listens.

    Ray would try for ever, and not hear Ctrl-C meanwhile.
    """
    if address == AUTO:
        return
    parts = _ADDRESS.fullmatch(address)
    if parts is None:
        why = "Pretrial runs on a node of the cluster, not as a client of it. " if "://" in address else ""
        raise RequestError(
            f"{address!r} is no address of a Ray cluster",
            remedy=f"{why}Write HOST:PORT of its head, such as 10.0.0.1:6379, or auto, or local.",
        )
    try:
        where = (parts["host"].strip("[]"), int(parts["port"]))
        socket.create_connection(where, timeout=_CONNECT_SECONDS).close()
    except (OSError, OverflowError) as error:
        raise _unreachable(address, str(error)) from error


def _try_joining(address: str, stop: Callable[[], bool]) -> None:
    """Join in a process of its own first: where something else listens, or this machine is no node, Ray hangs."""
    command = [sys.executable, "-c", _JOIN, address, str(_JOIN_SECONDS)]
    environment = {**os.environ, **SILENT}
    with subprocess.Popen(
        command, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    ) as joining:
        try:
            while True:
                try:
                    _, said = joining.communicate(timeout=LOOK_SECONDS)
                    break
                except subprocess.TimeoutExpired:
                    if stop():
                        raise Interrupted("stopped on request") from None
        finally:
            joining.kill()
        if stop():
            raise Interrupted("stopped on request")
        if joining.returncode:
            silent = joining.returncode == -signal.SIGALRM
            raise _unreachable(address, f"no answer in {_JOIN_SECONDS} seconds" if silent else _reason(said))


def _reason(said: str) -> str:
    """The error that ends a traceback, with the lines that belong to it."""
    lines = [line.rstrip() for line in said.splitlines() if line.strip()]
    starts = [i for i, line in enumerate(lines) if re.match(r"[\w.]+(Error|Exception|Exit)\b", line)]
    return " ".join(" ".join(lines[starts[-1] :] if starts else lines[-1:]).split())


def _unreachable(address: str, why: str) -> RequestError:
    if address == LOCAL:
        return RequestError(f"Ray cannot be started here: {why}", remedy="See /tmp/ray, or leave --cluster out.")
    return RequestError(
        f"the Ray cluster at {address} cannot be used: {why}",
        remedy="See `ray status` on its head. This machine must be a node of it: ray start --address=HOST:PORT",
    )


@contextmanager
def _without_dashboard() -> Iterator[None]:
    """Ray starts no process for its dashboard.

    It does also where none is wanted, then with the module of usage statistics alone. That asks 169.254.169.254 and
    metadata.google.internal which cloud this is before it looks whether it may report, and no option or variable of Ray
    2.60 keeps it from doing so. Ray goes on as where the process could not be started. A Ray that has not this function
    any more is left as it is.
    """
    services: Any = sys.modules.get("ray._private.services")
    start = getattr(services, "start_api_server", None)
    if start is None:
        yield
        return
    services.start_api_server = lambda *_, **__: (None, None)
    try:
        yield
    finally:
        services.start_api_server = start


def _restore(handler: Any) -> None:
    # Ray takes SIGTERM for itself, where it may.
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, handler)


def _import() -> Any:
    """The Ray package, imported with its usage statistics off.

    Raises:
        RequestError: when it is not installed.
    """
    os.environ.update(SILENT)
    try:
        # By name: types are checked also where the extra is not installed.
        import_module("ray.util.scheduling_strategies")
        return import_module("ray")
    except ImportError as error:
        raise RequestError(
            f"--cluster needs the package ray: {error}", remedy="Install it: pip install pretrial[cluster]"
        ) from error
