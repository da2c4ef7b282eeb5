"""Reports steps to the harness: one JSON object per line on stdout.

One step runs at a time, on a thread of its own, so that one that hangs is given up. What it left open ends with the process.
"""

import json
import os
import sys
import threading
import time
import traceback

STEP_BOUND = 30  # seconds


class Steps:
    """Runs steps against the broker that the command line names."""

    def __init__(self, version):
        self.bootstrap, self.prefix = sys.argv[1:3]
        self._say(version=version)

    @staticmethod
    def _say(**line):
        print(json.dumps(line), flush=True)

    def named(self, name):
        """A name that only this run uses."""
        return f"{self.prefix}-{name}"

    def step(self, name, do, cluster=""):
        """Runs do. cluster says why it is not required of one node; empty for a step that must work."""
        began, found = time.monotonic(), {}
        runner = threading.Thread(target=self._attempt, args=(do, found), daemon=True)
        runner.start()
        runner.join(STEP_BOUND)
        if not found:
            found = {"ok": False, "detail": f"nothing after {STEP_BOUND} s"}
        self._say(step=name, cluster=cluster, millis=int((time.monotonic() - began) * 1000), **found)

    @staticmethod
    def _attempt(do, found):
        try:
            found.update(detail=str(do() or ""), ok=True)
        except BaseException as err:  # whatever it is, the step failed
            line = traceback.extract_tb(err.__traceback__)[1:2] or traceback.extract_tb(err.__traceback__)
            found.update(detail=f"{type(err).__name__}: {err} (line {line[0].lineno})", ok=False)

    def end(self):
        """Says that this was the last step, and ends the process with whatever failed steps left open."""
        self._say(end=True)
        os._exit(0)


def until(what, condition, bound=15, pause=0.02):
    """Waits for a condition by asking again; a condition that waits itself needs no pause."""
    deadline = time.monotonic() + bound
    while True:
        got = condition()
        if got:
            return got
        if time.monotonic() > deadline:
            raise TimeoutError(f"waited in vain for {what}")
        time.sleep(pause)


def same(got, want):
    """Fails unless both are equal."""
    if got != want:
        raise AssertionError(f"got {got!r}, want {want!r}")
