"""A W&B server on loopback for tests: what the real client 0.31 asks of one, and faults on demand.

It keeps what W&B keeps: sweeps with their states, runs with configuration, summary, history and exit code,
uploaded files. A history line is put at the offset that its client gives, as W&B does: a request sent twice
after a lost answer doubles nothing, and one at the wrong offset shows.
"""

import base64
import gzip
import json
import re
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import yaml

ENTITY = "flock"


@dataclass
class Run:
    """One run as the server knows it."""

    name: str
    project: str
    entity: str
    sweep: str | None = None
    group: str | None = None
    display_name: str | None = None
    config: dict[str, Any] = field(default_factory=dict)
    wrapped_config: str = "{}"
    lines: dict[str, dict[int, str]] = field(default_factory=dict)
    """File -> offset -> line."""
    exit_code: int | None = None
    files: dict[str, bytes] = field(default_factory=dict)
    created: float = 0.0

    @property
    def rows(self) -> list[dict[str, Any]]:
        """The history in the order of its offsets; a gap is a None, and a test that reads it fails."""
        placed = self.lines.get("wandb-history.jsonl", {})
        return [json.loads(placed[i]) if i in placed else None for i in range(max(placed, default=-1) + 1)]

    @property
    def summary(self) -> dict[str, Any]:
        return json.loads(self.lines.get("wandb-summary.json", {}).get(0, "{}"))


@dataclass
class Sweep:
    """One sweep as the server knows it."""

    name: str
    project: str
    entity: str
    config: dict[str, Any]
    state: str = "RUNNING"
    states: list[str] = field(default_factory=list)
    prior: str | None = None
    queue: list[dict[str, Any]] = field(default_factory=list)


@dataclass
class Fault:
    """Answers for requests that match, instead of the real one."""

    match: Callable[[str], bool]
    status: int
    """0: the connection is dropped after the request was carried out; -1: it hangs until `heal`."""
    times: float
    retry_after: float | None


class Server:
    """Listens on a free port of loopback from `start` to `stop`."""

    def __init__(self) -> None:
        self.runs: dict[str, Run] = {}
        self.sweeps: dict[str, Sweep] = {}
        self.requests: list[tuple[float, str]] = []
        """(when, what): the GraphQL operation, or the path."""
        self.keys: set[str] = set()
        self.faults: list[Fault] = []
        self.objective: Callable[[dict[str, Any]], float] = lambda config: 0.0
        """What a run of a sweep with a scheduler comes to."""
        self.port = 0
        self._healed = threading.Event()
        self._mutex = threading.RLock()
        self._http: ThreadingHTTPServer | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Listen; on the port of before, if there was one."""
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_: Any) -> None:
                pass

            def do_GET(self) -> None:
                server._answer(self, b"")

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                if self.headers.get("Content-Encoding") == "gzip":
                    body = gzip.decompress(body)
                server._answer(self, body)

            do_PUT = do_POST

        class Quiet(ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 256
            allow_reuse_address = True

            def handle_error(self, *_: Any) -> None:
                pass  # clients are killed in the middle of a request: that is what is tested

        self._http = Quiet(("127.0.0.1", self.port), Handler)
        self.port = self._http.server_address[1]
        threading.Thread(target=self._http.serve_forever, args=(0.05,), daemon=True).start()

    def stop(self) -> None:
        """Refuse connections; what was received stays."""
        if self._http is not None:
            self._http.shutdown()
            self._http.server_close()
            self._http = None
        self._healed.set()

    def fail(
        self, what: str, status: int, *, times: float = float("inf"), retry_after: float | None = None
    ) -> None:
        """Answer requests whose operation or path matches the pattern with an error (see `Fault`)."""
        self._healed.clear()
        pattern = re.compile(what)
        self.faults.append(Fault(lambda name: bool(pattern.search(name)), status, times, retry_after))

    def heal(self) -> None:
        """No more faults."""
        self.faults.clear()
        self._healed.set()

    def count(self, what: str) -> int:
        """How many requests matched so far."""
        return sum(bool(re.search(what, name)) for _, name in self.requests)

    def trials(self) -> dict[str, Run]:
        """The runs by the last part of their ids."""
        return {name.rsplit("-", 1)[1]: run for name, run in self.runs.items()}

    # -- HTTP --------------------------------------------------------------------------------------

    def _answer(self, handler: BaseHTTPRequestHandler, body: bytes) -> None:
        if self._http is None:  # a connection from before the stop
            handler.close_connection = True
            return
        path = handler.path.partition("?")[0]
        given = handler.headers.get("Authorization", "")
        if given.startswith("Basic "):
            self.keys.add(base64.b64decode(given[6:]).decode().partition(":")[2])
        request: dict[str, Any] = {}
        name = path
        if path == "/graphql":
            request = json.loads(body)
            found = re.search(r"\b(?:query|mutation)\s+(\w+)", request["query"])
            name = found[1] if found else "?"
        self.requests.append((time.time(), name))
        fault = next((one for one in self.faults if one.times > 0 and one.match(name)), None)
        if fault is not None:
            fault.times -= 1
            if fault.status == -1:
                self._healed.wait(120)
                handler.close_connection = True
                return
            if fault.status > 0:
                headers = {} if fault.retry_after is None else {"Retry-After": f"{fault.retry_after:g}"}
                _send(handler, fault.status, b'{"errors": [{"message": "planted"}]}', headers)
                return
        with self._mutex:
            status, answer = self._carry_out(path, name, request, body)
        if fault is not None:
            handler.close_connection = True
            return
        _send(handler, status, answer, {})

    def _carry_out(self, path: str, name: str, request: dict[str, Any], body: bytes) -> tuple[int, bytes]:
        if path == "/graphql":
            handle = getattr(self, f"_do_{name}", None)
            if handle is None:
                return 400, json.dumps({"errors": [{"message": f"unknown operation {name}"}]}).encode()
            return 200, json.dumps({"data": handle(request.get("variables") or {})}).encode()
        if found := re.fullmatch(r"/files/([^/]+)/([^/]+)/([^/]+)/file_stream", path):
            run = self.runs.get(found[3])
            if run is None:
                return 404, b"{}"
            self._stream(run, json.loads(body))
            return 200, b"{}"
        if found := re.fullmatch(r"/storage/([^/]+)/(.+)", path):
            self.runs[found[1]].files[found[2]] = body
            return 200, b""
        return 404, b"{}"

    def _stream(self, run: Run, request: dict[str, Any]) -> None:
        for file, chunk in (request.get("files") or {}).items():
            placed = run.lines.setdefault(file, {})
            for i, line in enumerate(chunk["content"]):
                placed[chunk["offset"] + i if file.endswith(".jsonl") else i] = line
        if request.get("complete"):
            run.exit_code = request.get("exitcode")

    # -- GraphQL, an operation each ----------------------------------------------------------------

    def _do_Viewer(self, _: dict[str, Any]) -> dict[str, Any]:
        viewer = {"id": "u", "entity": ENTITY, "username": ENTITY, "email": "a@b", "flags": "{}"}
        return {"viewer": {**viewer, "teams": {"edges": []}, "name": ENTITY, "admin": False}}

    _do_GetViewer = _do_Viewer

    def _do_ServerFeaturesQuery(self, _: dict[str, Any]) -> dict[str, Any]:
        return {"serverInfo": {"features": [{"name": "SWEEPS_LOCAL_SCHEDULER", "isEnabled": True}]}}

    def _do_RunResumeStatus(self, given: dict[str, Any]) -> dict[str, Any]:
        owner = {"id": "e", "name": given.get("entity") or ENTITY}
        run = self.runs.get(given["name"])
        model = {"id": "p", "name": given["project"], "entity": owner}
        return {"model": {**model, "bucket": run and _bucket(run)}}

    def _do_UpsertBucket(self, given: dict[str, Any]) -> dict[str, Any]:
        name, entity = given.get("name") or given["id"], given.get("entity") or ENTITY
        new = name not in self.runs
        if new:
            self.runs[name] = Run(name, given["project"], entity, created=time.time())
        run = self.runs[name]
        run.exit_code = None
        run.sweep = given.get("sweep") or run.sweep
        run.group = given.get("groupName") or run.group
        run.display_name = given.get("displayName") or run.display_name
        if given.get("config"):
            run.wrapped_config = given["config"]
            wrapped = json.loads(given["config"])
            run.config = {key: value["value"] for key, value in wrapped.items() if key != "_wandb"}
        project = {"id": "p", "name": run.project, "entity": {"id": "e", "name": entity}}
        answer = _bucket(run) | {"project": project, "sweepName": run.sweep, "description": None}
        return {"upsertBucket": {"bucket": answer, "inserted": new}}

    def _do_CreateRunFiles(self, given: dict[str, Any]) -> dict[str, Any]:
        place = f"{self.url}/storage/{given['run']}"
        files = [{"name": name, "uploadUrl": f"{place}/{name}"} for name in given["files"]]
        return {"createRunFiles": {"runID": given["run"], "uploadHeaders": [], "files": files}}

    def _do_UpsertSweep(self, given: dict[str, Any]) -> dict[str, Any]:
        if given.get("id"):
            sweep = self.sweeps[given["id"].removeprefix("gid-")]
            if given.get("state"):
                sweep.state = given["state"]
                sweep.states.append(given["state"])
        else:
            name = f"sw{len(self.sweeps):06d}"
            config = yaml.safe_load(given["config"])
            entity = given.get("entityName") or ENTITY
            sweep = Sweep(name, given["projectName"], entity, config, prior=given.get("priorRunsFilters"))
            self.sweeps[name] = sweep
        project = {"id": "p", "name": sweep.project, "entity": {"id": "e", "name": sweep.entity}}
        return {
            "upsertSweep": {
                "sweep": {"id": f"gid-{sweep.name}", "name": sweep.name, "project": project},
                "configValidationWarnings": [],
            }
        }

    def _do_SweepWithRuns(self, given: dict[str, Any]) -> dict[str, Any]:
        sweep = self.sweeps.get(given["sweep"])
        if sweep is None:
            return {"project": {"sweep": None}}
        known = {"id": f"gid-{sweep.name}", "name": sweep.name, "state": sweep.state}
        return {"project": {"sweep": known | {"config": yaml.dump(sweep.config), "runs": {"edges": []}}}}

    # What W&B's sweep scheduler asks, and agents that have every run done at once.

    def _do_SweepConfig(self, given: dict[str, Any]) -> dict[str, Any]:
        sweep = self.sweeps.get(given["sweep"])
        if sweep is None:
            return {"project": {"sweep": None}}
        known = {"id": f"gid-{sweep.name}", "state": sweep.state, "displayName": sweep.name}
        config = yaml.dump(sweep.config)
        return {
            "project": {"sweep": known | {"config": config, "controllerRunName": f"{sweep.name}-control"}}
        }

    def _do_EnqueueSweepRun(self, given: dict[str, Any]) -> dict[str, Any]:
        sweep = self.sweeps[given["id"].removeprefix("gid-")]
        name = f"run{len(sweep.queue):03d}"
        config = {key: one["value"] for key, one in json.loads(given["config"]).items()}
        sweep.queue.append({"name": name, "wrapped": given["config"], "config": config})
        return {"enqueueSweepRun": {"id": name, "runQueueItemId": f"q-{name}"}}

    def _do_SweepRunsWithHistory(self, given: dict[str, Any]) -> dict[str, Any]:
        sweep = self.sweeps[given["sweep"]]
        return {"project": {"sweep": {"state": sweep.state, "runs": self._polled(sweep)}}}

    def _do_SweepWatchedRuns(self, given: dict[str, Any]) -> dict[str, Any]:
        sweep = self.sweeps[given["sweep"]]
        return {"project": {"sweep": {"state": sweep.state}, "runs": self._polled(sweep)}}

    def _do_UpsertSweepState(self, given: dict[str, Any]) -> dict[str, Any]:
        self._do_UpsertSweep(given)
        return {"upsertSweep": {"sweep": {"state": given["state"]}}}

    def _polled(self, sweep: Sweep) -> dict[str, Any]:
        nodes = [
            {
                "id": f"gid-{one['name']}",
                "name": one["name"],
                "state": "finished",
                "config": one["wrapped"],
                "summaryMetrics": json.dumps({"loss": self.objective(one["config"])}),
                "sampledHistory": [[]],
            }
            for one in sweep.queue
        ]
        return {"pageInfo": {"hasNextPage": False, "endCursor": None}, "edges": [{"node": n} for n in nodes]}


def _bucket(run: Run) -> dict[str, Any]:
    rows, events = run.lines.get("wandb-history.jsonl", {}), run.lines.get("wandb-events.jsonl", {})
    tail = [rows[max(rows)]] if rows else []
    return {
        "id": f"gid-{run.name}",
        "name": run.name,
        "summaryMetrics": json.dumps(run.summary),
        "displayName": run.display_name or run.name,
        "logLineCount": 0,
        "historyLineCount": len(rows),
        "eventsLineCount": len(events),
        "historyTail": json.dumps(tail),
        "eventsTail": "[]",
        "config": run.wrapped_config,
        "tags": [],
        "notes": None,
        "wandbConfig": json.dumps({"t": 1}),
    }


def _send(handler: BaseHTTPRequestHandler, status: int, body: bytes, headers: dict[str, str]) -> None:
    handler.send_response(status)
    for key, value in {"Content-Type": "application/json", **headers}.items():
        handler.send_header(key, value)
    handler.send_header("Content-Length", str(len(body)))
    handler.end_headers()
    handler.wfile.write(body)
