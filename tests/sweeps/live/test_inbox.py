import threading
import time

import pytest

from sweeps.store import inbox as module
from sweeps.store.inbox import Inbox, ask
from sweeps.store.storage import open_folder


@pytest.fixture(params=["disk", "memory"])
def folder(request, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "LOOK_S", 0.05)
    monkeypatch.setattr(module, "LOOK_STORE_S", 0.05)
    return open_folder(tmp_path if request.param == "disk" else f"memory://inbox/{tmp_path.name}")


def asked_in_a_thread(folder, what, **options):
    answers = []
    options = {"timeout_s": 20, "alive": lambda: True} | options
    thread = threading.Thread(target=lambda: answers.append(ask(folder, what, **options)))
    thread.start()
    return thread, answers


def first(inbox):
    end = time.monotonic() + 10
    while not (found := inbox.taken()):
        assert time.monotonic() < end
        time.sleep(0.01)
    return found


def test_a_request_is_taken_once_and_its_answer_comes_back_and_nothing_stays(folder):
    with Inbox(folder) as inbox:
        thread, answers = asked_in_a_thread(folder, {"trials": ["00001"]})
        (request,) = first(inbox)
        assert request.what == {"trials": ["00001"]}
        assert request.by.startswith("process ")
        time.sleep(0.2)
        assert inbox.taken() == []
        inbox.answer(request, {"trials": {"00001": "stopped"}})
        thread.join(20)
    assert answers == [{"trials": {"00001": "stopped"}}]
    assert folder.child("inbox").names() == []


def test_nobody_answers_and_the_request_is_taken_away(folder):
    assert ask(folder, {"trials": None}, timeout_s=0.3, alive=lambda: True) is None
    assert folder.child("inbox").names() == []


def test_a_driver_that_dies_is_not_waited_for(folder):
    began = time.monotonic()
    assert ask(folder, {"trials": None}, timeout_s=60, alive=lambda: False, look_s=0.01) is None
    assert time.monotonic() - began < 20


def test_the_last_word_of_a_driver_that_has_ended_is_heard(folder):
    inbox = folder.child("inbox")

    def gone():
        request = inbox.names()[0].removesuffix(".json")
        inbox.put(f"{request}.answer.json", b'{"trials": {}}')
        return False

    assert ask(folder, {"trials": None}, timeout_s=60, alive=gone, look_s=0.01) == {"trials": {}}


def test_what_was_asked_of_an_earlier_driver_is_not_done_by_a_later_one(folder):
    folder.child("inbox").put("old.json", b'{"what": {"trials": null}, "by": "somebody"}')
    with Inbox(folder) as inbox:
        time.sleep(0.3)
        assert inbox.taken() == []
    assert folder.child("inbox").names() == []


def test_what_is_no_request_is_passed_over(folder):
    with Inbox(folder) as inbox:
        folder.child("inbox").put("a.json", b"not JSON")
        folder.child("inbox").put("b.json", b'{"what": 3}')
        folder.child("inbox").put("c.txt", b"")
        folder.child("inbox").put("d.json", b'{"what": {"trials": ["1"]}, "by": "me"}')
        assert [request.id for request in first(inbox)] == ["d"]
