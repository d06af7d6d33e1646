"""The statuses of a run, in the order of its life."""

from typing import Literal

Status = Literal["created", "running", "completed", "failed", "cancelled"]
