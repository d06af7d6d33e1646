"""`runledger follow`: the events of the log, each on a line."""

import json
from pathlib import Path

from command_line import RUN, Command


def test_events_are_printed_from_a_position_on(runledger: Command, runs: Path) -> None:
    lines = runledger("follow", "--after", "0", "--limit", "3", "--json").out.splitlines()
    found = [json.loads(line) for line in lines]
    assert [one["position"] for one in found] == sorted(one["position"] for one in found)
    assert len(found) == 3
    shown = runledger("follow", "--after", "0", "--limit", "1").out.split()
    assert (shown[0], shown[-1]) == (str(found[0]["position"]), found[0]["topic"])


def test_events_of_runs_that_meet_a_condition(runledger: Command, runs: Path) -> None:
    ended = ("--after", "0", "--limit", "1", "--json", "--topic", "run.failed")
    where = runledger("follow", *ended, "--where", "error_type = 'Boom'")
    assert json.loads(where.out)["stream"] == RUN.format(2)
    runledger("views", "save", "booms", "error_type = 'Boom'")
    assert runledger("follow", *ended, "--view", "booms").out == where.out
    refused = runledger("follow", "--where", "statsu = 'failed'")
    assert refused.code == 2
    assert "did you mean status?" in refused.err
    assert runledger("follow", "--topic", "run.faild").code == 1
