"""Shared by tests of the command line: the ids of the runs, and the result of a command."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

RUN = "run-00000000-0000-4000-8000-00000000000{}"
STEP = "step-00000000-0000-4000-8000-000000000001"


@dataclass
class Outcome:
    """The result of a command."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


Command = Callable[..., Outcome]
