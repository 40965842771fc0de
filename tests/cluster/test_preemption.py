"""The notices of the three clouds, from a metadata server on loopback that answers as theirs do."""

import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest

from cluster.preemption import CLOUDS, Metadata


class Answers(BaseHTTPRequestHandler):
    """404, unless the server's `said` has the path; refuses who lacks the cloud's header."""

    def answer(self):
        said = self.server.said
        self.server.asked.append((self.command, self.path))
        if not any(self.headers.get(name) == value for name, value in self.server.wants):
            code, text = 401, "no token"
        else:
            code, text = (200, said[self.path]) if self.path in said else (404, "")
        self.send_response(code)
        self.end_headers()
        self.wfile.write(text.encode())

    do_GET = do_PUT = answer

    def log_message(self, *_):
        pass


@pytest.fixture
def server() -> Iterator[ThreadingHTTPServer]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Answers)
    server.said, server.asked, server.wants = {}, [], []
    thread = Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def notice(cloud, server):
    return CLOUDS[cloud][0](Metadata(f"http://127.0.0.1:{server.server_port}"))


def test_aws_is_asked_with_a_token_and_tells_of_an_interruption_before_a_recommendation(server):
    life, token = "X-aws-ec2-metadata-token-ttl-seconds", "X-aws-ec2-metadata-token"
    server.wants = [(life, "60"), (token, "secret")]
    server.said = {"/latest/api/token": "secret"}
    assert notice("aws", server) is None
    assert server.asked[0] == ("PUT", "/latest/api/token")

    recommended = "/latest/meta-data/events/recommendations/rebalance"
    server.said |= {recommended: '{"noticeTime": "2026-09-21T14:00:00Z"}'}
    found = notice("aws", server)
    assert (found.why, found.deadline) == ("spot rebalance recommendation", None)

    action = '{"action": "terminate", "time": "2026-09-21T14:13:20Z"}'
    server.said |= {"/latest/meta-data/spot/instance-action": action}
    found = notice("aws", server)
    assert (found.why, found.deadline) == ("spot interruption (terminate)", 1_790_000_000.0)


def test_gcp_says_true_thirty_seconds_before(server):
    server.wants = [("Metadata-Flavor", "Google")]
    server.said = {"/computeMetadata/v1/instance/preempted": "FALSE"}
    assert notice("gcp", server) is None
    server.said = {"/computeMetadata/v1/instance/preempted": "TRUE"}
    assert notice("gcp", server).deadline == pytest.approx(time.time() + 30, abs=5)


def test_azure_events_of_a_neighbour_are_not_ours(server):
    server.wants = [("Metadata", "true")]
    events = '{"Events": [{"EventType": "Preempt", "Resources": ["vm7"], "NotBefore": "%s"}]}'
    at = "Mon, 21 Sep 2026 14:13:20 GMT"
    path = "/metadata/scheduledevents?api-version=2020-07-01"
    name = "/metadata/instance/compute/name?api-version=2021-02-01&format=text"
    server.said = {path: '{"DocumentIncarnation": 1, "Events": []}', name: "vm8"}
    assert notice("azure", server) is None
    server.said[path] = events % at
    assert notice("azure", server) is None
    server.said[name] = "vm7"
    assert notice("azure", server).deadline == 1_790_000_000.0
    server.said[path] = events % ""
    assert notice("azure", server).deadline == pytest.approx(time.time() + 30, abs=5)


def test_a_metadata_service_that_refuses_is_an_error_and_no_notice(server):
    with pytest.raises(OSError, match="401"):
        notice("aws", server)
