"""Named checks. A part of the run (one guest) writes each as a line of JSON to its standard output; run.py reads them."""

import contextlib
import json
import time
import traceback

from guest import Patience


class Checks:
    """with checks("what must be so"): ... An AssertionError, or anything else unexpected, fails it and the part goes on.
    on_failure(): called at the first one."""

    def __init__(self, on_failure=lambda: None):
        self.failed, self._on_failure = 0, on_failure

    @contextlib.contextmanager
    def __call__(self, name):
        began = time.monotonic()
        failure = None
        try:
            yield
        except AssertionError as error:
            failure = str(error) or "".join(traceback.format_tb(error.__traceback__)[-1:])
        except Exception:  # a broken check is no passed check
            failure = traceback.format_exc()
        say(check=name, failure=failure, seconds=time.monotonic() - began)
        if failure:
            self.failed += 1
            if self.failed == 1:
                Patience.factor = 0.4
                self._on_failure()


def note(text):
    """Something to read, not to judge."""
    say(note=text)


def say(**line):
    print(json.dumps(line), flush=True)
