"""A Ray cluster makes the bytes that one process makes, also when a node dies; a node that is not fit is refused.

The tests marked slow have a cluster of three nodes on this machine; the others need no Ray.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import smoke
from pretrial.errors import Interrupted, RequestError, RunError
from pretrial.execute import cluster
from pretrial.execute.cluster import examine, fault, installation, make, sources, until_seen
from pretrial.execute.progress import Quiet
from pretrial.execute.runner import Runner
from pretrial.execute.worker import Substep
from pretrial.plan.steps import Step
from pretrial.store.artefacts import Store, payload_of
from pretrial.store.identity import fingerprint
from smoke import Place

HERE = Path(smoke.__file__).parent


@pytest.fixture
def store(tmp_path: Path) -> Store:
    made = Store(tmp_path / "store")
    made.prepare()
    return made


@pytest.fixture
def held(store: Store) -> Iterator[str]:
    """Name of a check that goes on: its lock is held by another process, as on a cluster, and its folder is there."""
    check = "cluster-test"
    script = (
        "import sys, time\nfrom pathlib import Path\nfrom pretrial.store.artefacts import Store\n"
        f"with Store(Path({str(store.root)!r})).lock({check!r}, ''):\n    print('held', flush=True)\n    time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", script], env=smoke.environment(), stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        store.scratch(check)
        yield check
        holder.kill()


@pytest.fixture
def ctrl_c() -> Iterator[None]:
    """A task of the cluster stops hearing Ctrl-C; this process must not."""
    before, environment = signal.getsignal(signal.SIGINT), dict(os.environ)
    yield
    signal.signal(signal.SIGINT, before)
    os.environ.clear()
    os.environ.update(environment)


# -- what a node must have ---------------------------------------------------------------------------------------------


def test_a_node_that_sees_the_store_and_its_lock_and_has_our_versions_is_fit(store: Store, held: str) -> None:
    said = examine(str(store.root), held)
    assert (said["sees"], said["locked"]) == (True, True)
    (folder,) = (store.root / "tmp").iterdir()
    assert (folder / said["wrote"]).exists()
    assert fault(installation(), said, "node a", store.root) is None


def test_a_store_that_is_not_there_and_one_that_is_another_are_both_none(tmp_path: Path, store: Store) -> None:
    other = Store(tmp_path / "other")
    other.prepare()
    for root in (tmp_path / "nothing", other.root):
        said = examine(str(root), "cluster-of-elsewhere")
        what, remedy = fault(installation(), said, "node a", root) or ("", "")
        assert what == f"node a of the cluster does not see the store at {root}"
        assert "mounts at the same path" in remedy
    assert not (tmp_path / "nothing").exists(), "looking makes nothing"


def test_a_lock_that_a_node_can_take_too_is_none(store: Store) -> None:
    store.scratch("cluster-test")
    said = examine(str(store.root), "cluster-test")
    what, remedy = fault(installation(), said, "node a", store.root) or ("", "")
    assert "does not see the locks" in what
    assert "flock" in remedy


def test_a_store_that_a_node_may_not_write_is_said(store: Store, held: str) -> None:
    said = {**examine(str(store.root), held), "wrote": ""}
    what, _ = fault(installation(), said, "node a", store.root) or ("", "")
    assert "may not write" in what


def test_other_versions_are_named_with_ours(store: Store, held: str) -> None:
    said = examine(str(store.root), held)
    mine = {**installation(), "Python": "3.0.1", "pyarrow": "1.0", "absent": "2.0"}
    what, remedy = fault(mine, said, "node a", store.root) or ("", "")
    python, pyarrow = installation()["Python"], installation()["pyarrow"]
    assert what == (
        f"node a of the cluster has Python {python} (here 3.0.1), pyarrow {pyarrow} (here 1.0), "
        "absent missing (here 2.0)"
    )
    assert "same versions" in remedy


def test_what_is_installed_names_what_decides_the_bytes() -> None:
    found = installation()
    assert {"Python", "machine", "Pretrial", "Pretrial's code", "pyarrow", "zstandard"} <= set(found)
    assert all(found[name] for name in ("Python", "Pretrial", "Pretrial's code", "pyarrow"))
    assert "pytest" not in found, "extras decide nothing"
    assert "+" not in found["torch"]


def test_a_node_without_pretrial_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    ask = cluster._question()
    monkeypatch.setitem(sys.modules, "pretrial.execute.cluster", None)
    said = ask("/nowhere", "check")
    what, remedy = fault({}, said, "node a", Path("/nowhere")) or ("", "")
    assert "Pretrial cannot be loaded on node a of the cluster" in what
    assert "Install" in remedy


# -- what a task does --------------------------------------------------------------------------------------------------


def substep(store: Store, value: str, **settings: str) -> Substep:
    payload = payload_of("part", 1, {"value": value}, {})
    return Substep(store.root, "part", fingerprint(payload), payload, "fake_steps:part", {"value": value}, settings, {})


@pytest.mark.usefixtures("ctrl_c")
def test_a_task_makes_the_substep_and_hears_no_ctrl_c(store: Store, held: str, tmp_path: Path) -> None:
    call = substep(store, "warn", log=str(tmp_path / "ran"))
    assert make(call, {}, {}, held, installation()) == ["one record could not be read"]
    made = store.find("part", call.key)
    assert made is not None
    assert made.file("value").read_text() == "warn"
    assert signal.getsignal(signal.SIGINT) == signal.SIG_IGN
    assert os.environ["DAFT_RUNNER"] == "native", "Daft would take the cluster for its own"


@pytest.mark.usefixtures("ctrl_c")
def test_a_task_on_a_node_that_is_not_fit_makes_nothing(store: Store, held: str, tmp_path: Path) -> None:
    call = substep(store, "x", log=str(tmp_path / "ran"))
    with pytest.raises(RunError, match=r"Python .* \(here 2\.7\)"):
        make(call, {}, {}, held, {**installation(), "Python": "2.7"})
    assert store.find("part", call.key) is None


@pytest.mark.usefixtures("ctrl_c")
@pytest.mark.parametrize("change", ["missing", "larger", "older", "a folder"])
def test_a_source_that_is_another_on_the_node_is_refused(store: Store, held: str, tmp_path: Path, change: str) -> None:
    source = tmp_path / "source.jsonl"
    source.write_text("one")
    settings = {"paths": [str(source)], "where": "study.yaml:3"}
    seen = sources(settings)
    assert list(seen) == [str(source)]
    if change == "missing":
        source.unlink()
    elif change == "larger":
        source.write_text("another")
    elif change == "older":
        os.utime(source, (0, 0))
    else:
        source.unlink()
        source.mkdir()
    call = substep(store, "x", log=str(tmp_path / "ran"))
    with pytest.raises(RunError, match=r"does not see .*source\.jsonl as this machine does"):
        make(call, {}, seen, held, installation())
    assert store.find("part", call.key) is None


def test_sources_are_found_wherever_settings_name_them(tmp_path: Path) -> None:
    file, folder = tmp_path / "a", tmp_path / "b"
    file.write_text("a")
    folder.mkdir()
    settings = {"paths": [str(file)], "locations": [{"root": str(folder)}], "gone": str(tmp_path / "c"), "n": 1}
    assert set(sources(settings)) == {str(file), str(folder)}
    assert sources({"relative": "a", "long": "/" + "x" * 10_000, "zero": "/\0"}) == {}


def test_a_file_that_another_node_wrote_is_waited_for(tmp_path: Path) -> None:
    path = tmp_path / "manifest.json"
    writer = threading.Timer(0.3, path.touch)
    writer.start()
    until_seen(path, lambda: False, seconds=30)
    assert path.exists()
    writer.join()
    with pytest.raises(RunError, match="is not seen here"):
        until_seen(tmp_path / "never", lambda: False, seconds=0.1)
    with pytest.raises(Interrupted):
        until_seen(tmp_path / "never", lambda: True)


# -- connecting --------------------------------------------------------------------------------------------------------


def test_without_ray_the_error_says_what_to_install(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(RequestError, match="--cluster needs the package ray") as caught:
        Runner(store, [], Quiet(), cluster="auto").pool()
    assert caught.value.remedy == "Install it: pip install pretrial[cluster]"
    assert not list((store.root / "tmp").iterdir())


@pytest.mark.parametrize("address", ["nonsense", "10.0.0.1", "ray://10.0.0.1:10001", "host:port", "a b:1", ""])
def test_what_is_no_address_is_said(address: str) -> None:
    with pytest.raises(RequestError, match="is no address of a Ray cluster") as caught:
        cluster.check_address(address)
    assert "HOST:PORT" in str(caught.value.remedy)
    assert ("client" in str(caught.value.remedy)) == ("://" in address)


def test_a_run_takes_the_cluster_of_the_environment_and_is_refused_before_anything_is_made(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PRETRIAL_CLUSTER", "nonsense")
    with pytest.raises(RequestError, match="'nonsense' is no address of a Ray cluster"):
        place.trial().run(quiet=True)
    with pytest.raises(RequestError, match="'other' is no address of a Ray cluster"):
        place.trial().run(quiet=True, cluster="other")
    assert not place.contents()


def test_an_address_where_nothing_listens_is_said_at_once() -> None:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        port = bound.getsockname()[1]
        with pytest.raises(RequestError, match=f"the Ray cluster at 127.0.0.1:{port} cannot be used: .*refused"):
            cluster.check_address(f"127.0.0.1:{port}")
        bound.listen()
        cluster.check_address(f"127.0.0.1:{port}")
    with pytest.raises(RequestError, match="cannot be used"):
        cluster.check_address("127.0.0.1:99999")


def test_the_reason_is_the_last_error_of_a_traceback() -> None:
    said = "noise\nTraceback (most recent call last):\n  File x\nRuntimeError: Version mismatch:\n    Ray: 2.0\n"
    assert cluster._reason(said) == "RuntimeError: Version mismatch: Ray: 2.0"
    assert cluster._reason("killed\n") == "killed"
    assert cluster._reason("") == ""


def test_a_node_that_goes_is_said_once_and_without_any_the_run_ends() -> None:
    def node(name: str, *, alive: bool = True, processors: int = 4) -> dict[str, Any]:
        return {"NodeID": name * 8, "NodeManagerHostname": name, "Alive": alive, "Resources": {"CPU": processors}}

    said: list[str] = []
    seen = [node("a"), node("b"), node("head", processors=0)]
    pool = cluster.RayPool.__new__(cluster.RayPool)
    pool._ray, pool._say, pool._address = SimpleNamespace(nodes=lambda: seen), said.append, "10.0.0.1:6379"
    pool._nodes = pool._alive()
    pool._watch()
    assert said == []
    seen[0] = node("a", alive=False)
    pool._watch()
    pool._watch()
    pool._check_nodes()
    assert said == ["node a (aaaaaaaa) of the cluster is gone; what it had in hand is made again elsewhere"]
    del seen[:2]
    pool._watch()
    with pytest.raises(RunError, match=r"no node of the cluster at 10\.0\.0\.1:6379 is left"):
        pool._check_nodes()


def test_local_work_does_not_load_ray() -> None:
    script = "import sys, pretrial.cli, pretrial.trials, pretrial.execute.cluster; print('ray' in sys.modules)"
    done = smoke.call([sys.executable, "-c", script], HERE)
    assert done.stdout == "False\n", done.stderr


@pytest.mark.parametrize("there", [True, False])
def test_no_process_for_the_dashboard_is_started_and_ray_is_as_it_was(
    monkeypatch: pytest.MonkeyPatch, there: bool
) -> None:
    services = SimpleNamespace(start_api_server=lambda: ("http://127.0.0.1:8265", "a process")) if there else object()
    monkeypatch.setitem(sys.modules, "ray._private.services", services)
    before = dict(vars(services)) if there else {}
    found = None
    with contextlib.suppress(ConnectionError), cluster._without_dashboard():
        if there:
            found = services.start_api_server(False, raise_on_failure=False)
        raise ConnectionError
    assert found == ((None, None) if there else None)
    assert not there or vars(services) == before


# -- a cluster ---------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def nodes() -> Iterator[Any]:
    """A Ray cluster of three nodes with one processor each, on this machine."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in (
            cluster.SILENT | {"PYTHONPATH": f"{smoke.SRC}:{HERE}", "RAY_AUTH_MODE": "disabled"}
        ).items():
            patch.setenv(name, value)
        pytest.importorskip("ray", reason="needs the cluster extra")
        from ray.cluster_utils import Cluster

        small = {"num_cpus": 1, "object_store_memory": 80 << 20}
        made = Cluster(initialize_head=True, head_node_args={**small, "include_dashboard": False})
        for _ in range(2):
            made.add_node(**small)
        yield made
        made.shutdown()


class Bench:
    """A store, a folder in which sub-steps say what they do, and a step with sub-steps."""

    def __init__(self, folder: Path) -> None:
        self.log = folder / "log"
        self.log.mkdir(parents=True)
        self.store = Store(folder / "store")
        self.store.prepare()

    def step(self, *parts: str, function: str = "fan", **settings: Any) -> Step:
        config = {"parts": list(parts)}
        return Step("fan", "demo", 1, f"fake_steps:{function}", config, {"log": str(self.log), **settings})

    def run(self, step: Step, **options: Any) -> Runner:
        runner = Runner(self.store, [step], Quiet(), **options)
        runner.run(["fan"])
        return runner

    def bytes(self) -> dict[str, Any]:
        """Every artefact's files, byte for byte, and its manifest without times."""
        found: dict[str, Any] = {}
        for path in sorted((self.store.root / "artefacts").rglob("*")):
            name = path.relative_to(self.store.root).as_posix()
            if path.name == "manifest.json":
                manifest = json.loads(path.read_bytes())
                del manifest["cost"], manifest["made"]
                for entry in manifest["files"].values():
                    del entry["modified"]
                found[name] = manifest
            elif path.is_file():
                found[name] = path.read_bytes()
        return found

    def begun(self) -> list[dict[str, Any]]:
        """Each time that a part was begun: `value` and `parent`, the process that started the one that made it."""
        return [json.loads(path.read_text()) for path in sorted(self.log.glob("begun-*"))]


def wait_for(seen: Callable[[], bool], seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not seen():
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.mark.slow
def test_one_worker_two_and_a_cluster_that_loses_a_node_make_the_same_bytes(nodes: Any, tmp_path: Path) -> None:
    parts = [f"part {i}" for i in range(12)]
    undisturbed = []
    for workers in (1, 2):
        bench = Bench(tmp_path / str(workers))
        assert bench.run(bench.step(*parts, function="heavy", each=0), workers=workers).failures == {}
        undisturbed.append(bench.bytes())
    assert undisturbed[0] == undisturbed[1]

    bench = Bench(tmp_path / "cluster")
    doomed = nodes.add_node(num_cpus=1, object_store_memory=80 << 20)
    raylet = doomed.all_processes["raylet"][0].process.pid
    step = bench.step(*parts, function="heavy", each=1)
    runner = Runner(bench.store, [step], Quiet(), cluster=nodes.address)
    killed = threading.Event()

    def kill() -> None:
        # As soon as it has something in hand.
        wait_for(lambda: any(entry["parent"] == raylet for entry in bench.begun()))
        nodes.remove_node(doomed, allow_graceful=False)
        killed.set()

    killing = threading.Thread(target=kill)
    killing.start()
    runner.run(["fan"])
    killing.join()
    assert killed.is_set()
    assert runner.failures == {}
    in_hand = {entry["value"] for entry in bench.begun() if entry["parent"] == raylet}
    elsewhere = {entry["value"] for entry in bench.begun() if entry["parent"] != raylet}
    assert in_hand, "the node was killed in the middle of something"
    assert elsewhere == set(parts), "which was made again"
    assert len({entry["parent"] for entry in bench.begun()}) >= 3, "nodes worked side by side"
    assert bench.bytes() == undisturbed[0]
    assert not [path for path in (bench.store.root / "tmp").iterdir() if path.name.startswith("cluster-")]
    assert not list((bench.store.root / "locks").glob("cluster-*"))


@pytest.mark.slow
def test_a_study_on_a_cluster_is_the_study_of_one_machine(nodes: Any, place: Place, finished_once: Place) -> None:
    done = place.call("run", "--json", "--cluster", nodes.address)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["failures"] == {}, "Ray prints nothing between"
    assert place.contents() == finished_once.contents()
    assert place.tables() == finished_once.tables()


@pytest.mark.slow
def test_what_a_substep_raises_and_warns_comes_back(nodes: Any, tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    runner = bench.run(bench.step("x", "fail"), cluster=nodes.address)
    assert str(runner.failures["fan"]) == "a part failed\n  Mend it."
    runner = bench.run(bench.step("x", "warn"), cluster=nodes.address)
    assert runner.ensure("fan").manifest["cost"]["warnings"] == ["one record could not be read"]


@pytest.mark.slow
def test_a_cluster_of_other_versions_is_refused_before_anything_is_made(
    nodes: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = Bench(tmp_path)
    other = {**installation(), "pyarrow": "1.0"}
    monkeypatch.setattr(cluster, "installation", lambda: other)
    with pytest.raises(RequestError, match=r"pyarrow [\d.]+ \(here 1\.0\)"):
        bench.run(bench.step("x"), cluster=nodes.address)
    assert not list(bench.log.iterdir())
    assert not list((bench.store.root / "tmp").iterdir())


DRIVER = """
import sys
from pathlib import Path
from pretrial.cli import guarded
from pretrial.execute.progress import Quiet
from pretrial.execute.runner import Runner
from pretrial.plan.steps import Step
from pretrial.running import stopping
from pretrial.store.artefacts import Store

def run():
    folder, address, parts = Path(sys.argv[1]), sys.argv[2], sys.argv[3:]
    step = Step("fan", "demo", 1, "fake_steps:fan", {"parts": parts}, {"log": str(folder / "log")})
    with stopping() as stop:
        Runner(Store(folder / "store"), [step], Quiet(), cluster=address, workers=1, stop=stop).run(["fan"])

if __name__ == "__main__":
    sys.exit(guarded(run))
"""


class Driver:
    """A main process of its own, in a session of its own."""

    def __init__(self, bench: Bench, address: str, *parts: str) -> None:
        folder = bench.log.parent
        (folder / "driver.py").write_text(DRIVER)
        command = [sys.executable, str(folder / "driver.py"), str(folder), address, *parts]
        # What Ray keeps in the home folder of who starts a cluster belongs to the test.
        env = smoke.environment({"PYTHONPATH": f"{smoke.SRC}:{HERE}", "HOME": str(folder)})
        self.said = folder / "said"
        with self.said.open("w") as said:
            self.process = subprocess.Popen(command, env=env, start_new_session=True, stdout=said, stderr=said)

    def press_ctrl_c(self) -> None:
        """As a terminal does, to every process of the session."""
        os.killpg(self.process.pid, signal.SIGINT)

    def end(self, seconds: float = 30) -> tuple[int, str]:
        """Exit code and output."""
        return self.process.wait(seconds), self.said.read_text()


@contextlib.contextmanager
def driver(bench: Bench, address: str, *parts: str) -> Iterator[Driver]:
    """A main process that has begun its first sub-step."""
    made = Driver(bench, address, *parts)
    try:
        wait_for(lambda: bool(ran(bench)) or made.process.poll() is not None)
        yield made
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(made.process.pid, signal.SIGKILL)
        made.process.wait()


def ran(bench: Bench) -> list[str]:
    path = bench.log / "ran"
    return path.read_text().split() if path.exists() else []


@pytest.mark.slow
def test_ctrl_c_finishes_what_has_begun_and_begins_nothing_more(nodes: Any, tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    parts = [f"slow2.{i}" for i in range(9)]
    with driver(bench, nodes.address, *parts) as main:
        main.press_ctrl_c()
        code, output = main.end()
    assert code == 130, output
    assert "Traceback" not in output
    made = [path.read_text() for path in (bench.store.root / "artefacts").glob("part/*/value")]
    assert sorted(made) == sorted(ran(bench)), "what had begun was finished"
    assert 1 <= len(made) < len(parts), "and nothing else"
    assert not list((bench.store.root / "tmp").iterdir())


@pytest.mark.slow
@pytest.mark.parametrize("how", ["a second Ctrl-C", "SIGKILL"])
def test_stopped_at_once_the_cluster_stops_too_and_leaves_nothing_half_made(
    nodes: Any, tmp_path: Path, how: str
) -> None:
    bench = Bench(tmp_path)
    with driver(bench, nodes.address, "slow60") as main:
        if how == "SIGKILL":
            main.process.kill()
        else:
            main.press_ctrl_c()
            time.sleep(0.7)
            assert main.process.poll() is None, "the first waits for the part, which has a minute to go"
            main.press_ctrl_c()
        code, output = main.end(20)
    assert code == (-signal.SIGKILL if how == "SIGKILL" else 130), output
    assert "Traceback" not in output
    assert not list((bench.store.root / "artefacts").glob("part/*"))
    # Whoever needs the part next gets its lock, once its maker is gone.
    started = time.monotonic()
    with bench.store.lock(substep(bench.store, "slow60").key, "test"):
        assert time.monotonic() - started < 20
    bench.store.clean()
    assert not list((bench.store.root / "tmp").iterdir())


ASKED = """\
import os, sys


def heard(event, arguments):
    if event not in ("socket.connect", "socket.getaddrinfo"):
        return
    where = arguments[1][0] if event == "socket.connect" and isinstance(arguments[1], tuple) else arguments[0]
    if where in ("169.254.169.254", "metadata.google.internal"):
        with open(os.environ["ASKED"], "a") as file:
            print(sys.argv[0], where, file=file)


sys.addaudithook(heard)
"""


@pytest.mark.slow
def test_a_cluster_that_is_started_here_asks_no_cloud(tmp_path: Path) -> None:
    pytest.importorskip("ray", reason="needs the cluster extra")
    (tmp_path / "sitecustomize.py").write_text(ASKED)
    script = (
        "import sys, time\nfrom pathlib import Path\nfrom pretrial.execute.cluster import RayPool\n"
        "from pretrial.store.artefacts import Store\nstore = Store(Path(sys.argv[1]))\nstore.prepare()\n"
        "pool = RayPool('local', store)\ntime.sleep(float(sys.argv[2]))\npool.close()"
    )
    environment = {"PYTHONPATH": f"{tmp_path}:{smoke.SRC}", "ASKED": str(tmp_path / "asked")}
    done = smoke.call([sys.executable, "-c", script, str(tmp_path / "store"), "4"], tmp_path, env=environment)
    assert done.returncode == 0, done.stderr
    assert not (tmp_path / "asked").exists(), (tmp_path / "asked").read_text()


@pytest.mark.slow
def test_a_cluster_that_is_started_here_ends_with_us(tmp_path: Path) -> None:
    pytest.importorskip("ray", reason="needs the cluster extra")
    bench = Bench(tmp_path)
    with driver(bench, "local", "x", "slow60") as main:
        wait_for(lambda: "slow60" in ran(bench))
        mine = b"HOME=" + bytes(tmp_path) + b"\0"
        session = [path for path in Path("/proc").iterdir() if path.name.isdigit() and mine in environment_of(path)]
        # Two helpers on each node take a minute to see that their cluster is gone; they know of no store.
        session = [path for path in session if b"Agent" not in (path / "cmdline").read_bytes()]
        assert len(session) > 3, "Ray's and ours"
        main.process.kill()
        main.process.wait()
        wait_for(lambda: not any(alive(process) for process in session))


def environment_of(process: Path) -> bytes:
    try:
        return (process / "environ").read_bytes()
    except OSError:
        return b""


def alive(process: Path) -> bool:
    try:
        return (process / "stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False
