"""The driver's part of `starling stop`: the whole sweep ends as by Ctrl-C, or single trials end at once.

For its scheduler a trial that is stopped by hand leaves, as one does that waits; the search algorithm hears
what it hears of a trial that a scheduler stopped at the same iteration. All of that follows from the trial's
`ended` event, so that a resume does the same.
"""

import contextlib
from collections.abc import Callable

from sweeps.loop.conductor import Conductor
from sweeps.loop.history import END, STOP
from sweeps.store.inbox import Inbox, Request

STOPPED = "stopped"
"""What is answered of a trial that was."""


class ByHand:
    """Takes what other terminals ask, and answers once it is done.

    Args:
        conductor: whose trials are stopped.
        inbox: where they ask.
        say: tells the driver's own terminal.
    """

    def __init__(self, conductor: Conductor, inbox: Inbox, say: Callable[[str], None]) -> None:
        self.conductor, self.inbox, self.say = conductor, inbox, say
        self._waiting: list[tuple[Request, dict[str, str]]] = []

    def look(self) -> None:
        """Answer requests whose trials have ended by now, then take new ones."""
        self.answer()
        for request in self.inbox.taken():
            trials = request.what.get("trials")
            if trials is None:
                self.say(f"stopped by {request.by}; what was reported is kept")
                self.conductor.stop("stopped")
                trials = ()
            self._waiting.append((request, {str(trial): self._stop(str(trial)) for trial in trials}))

    def answer(self) -> None:
        """Answer requests whose trials have ended; also once at the sweep's end."""
        records = self.conductor.history.trials
        for waiting in list(self._waiting):
            request, said = waiting
            if all(records[trial].state is not None for trial, word in said.items() if word == STOPPED):
                self._waiting.remove(waiting)
                with contextlib.suppress(OSError):  # a store that is away: who asked sees the journal
                    self.inbox.answer(request, {"trials": said})

    def _stop(self, trial: str) -> str:
        """What comes of it: stopped, or why not."""
        record = self.conductor.history.trials.get(trial)
        if record is None:
            return "is not known"
        if record.state is not None:
            return f"had ended already ({record.state})"
        if record.decision in (STOP, END):
            return "was about to end"
        record.unwanted = True
        self.conductor.unwanted.append(record)
        return STOPPED
