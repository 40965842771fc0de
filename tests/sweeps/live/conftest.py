"""A driver without Ray: events go into a journal and its tables, as a conductor would send them."""

import pytest

from sweeps.journal import Journal
from sweeps.store.manifest import Manifest, write_manifest
from sweeps.store.storage import open_folder
from sweeps.store.tables import Tables


class Driver:
    """Holds a sweep open until `close`; `say` is one event."""

    def __init__(self, where, *, trials=None, ranks=1, mode="min"):
        self.folder = open_folder(where)
        manifest = Manifest(
            metric="loss", mode=mode, parameters={"lr": "double"}, trials=trials,
            rest={"resources": {"ranks": ranks}},
        )  # fmt: skip
        manifest = write_manifest(self.folder, manifest, "/")
        self.journal = Journal.open(self.folder)
        self.tables = Tables(self.folder, manifest, self.journal.events(), distributions={})
        self.say("opened", pid=1, host="here", resumed=False)

    def say(self, event, **fields):
        self.tables.fold(self.journal.append(event, **fields))

    def suggest(self, trial):
        self.say("suggested", trial=trial, config={"lr": 0.1}, memo=None)

    def report(self, trial, iteration, loss, decision="CONTINUE", **more):
        fields = {"copies": 0, "iteration": iteration, "metrics": {"loss": loss}, "host": "node-a"}
        self.say("reported", trial=trial, decision=decision, **fields, **more)

    def end(self, trial, state, reason=None):
        self.say("ended", trial=trial, state=state, reason=reason)

    def close(self, why=None):
        if why is not None:
            self.say("closed", why=why)
        self.tables.close()
        self.journal.close()


@pytest.fixture
def drive():
    """`drive(path, ...)`: see Driver; what is open at the end of the test is closed."""
    opened = []

    def start(where, **options):
        opened.append(Driver(where, **options))
        return opened[-1]

    yield start
    for driver in opened:
        driver.close()
