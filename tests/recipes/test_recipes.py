"""The recipes of CONTRIBUTING.md, followed on a copy of the tree, come to working code."""

import pytest
from following import Tree

PLACES = "tests/run/test_places_of_an_event.py"
LAWS = ("tests/projections/test_laws.py", "-k", "incremental or plain_fold")

EVENT = '''class RunNoted(RunEvent):
    """A person wrote a note on the run."""

    topic = "run.noted"
    note: Text


'''
COMMAND = '''@dataclass(frozen=True, slots=True)
class NoteRun:
    """Write a note on the run."""

    note: str


'''
FOLD = """def _noted(run: Run, event: RunNoted, _version: int) -> None:
    run.metadata["note"] = event.note


"""
DECISION = """def _note(run: Run, command: c.NoteRun, env: Envelope, _priors: Priors) -> list[Event]:
    allow(run, RunNoted)
    return [make(RunNoted, run, env, note=command.note)]


"""
EVENTS = "runledger/events.py"
TRANSITIONS = "runledger/run/transitions.py"
STATE = "runledger/run/state.py"
COMMANDS = "runledger/run/commands.py"
DECISIONS = "runledger/run/decisions.py"
IMPORT = "    RunMetadataPatched,\n"
DEFINITIONS = (
    (EVENTS, "class HeartbeatRecorded(RunEvent):", EVENT),
    (TRANSITIONS, IMPORT, "    RunNoted,\n"),
    (STATE, IMPORT, "    RunNoted,\n"),
    (STATE, "def _metadata_patched(", FOLD),
    (COMMANDS, "@dataclass(frozen=True, slots=True)\nclass PatchMetadata:", COMMAND),
    (
        DECISIONS,
        "from runledger.run import commands as c",
        "from runledger.events import RunNoted\n",
    ),
    (DECISIONS, "def _heartbeat(", DECISION),
)
TABLES = {
    "catalogue": (EVENTS, "        RunMetadataPatched,\n", "        RunNoted,\n"),
    "transition": (
        TRANSITIONS,
        "    RunMetadataPatched: ",
        "    RunNoted: Transition(_ANY, None),\n",
    ),
    "fold": (STATE, "    RunMetadataPatched: ", "    RunNoted: _noted,\n"),
    "command": (COMMANDS, "    | PatchMetadata\n", "    | NoteRun\n"),
    "decision": (DECISIONS, "    c.PatchMetadata: ", "    c.NoteRun: _note,\n"),
    "history": (
        "tests/projections/moves.py",
        "    (2, st.builds(c.RecordHeartbeat)),",
        '    (2, st.builds(c.NoteRun, note=st.just("a note"))),\n',
    ),
    "states": (
        "tests/run/test_transitions.py",
        '    "run.metadata_patched": c.',
        '    "run.noted": c.NoteRun("a note"),\n',
    ),
}
EXPECTED = '    "run.noted": "= = = = = = NO",\n'
"""The event is taken in every state but deleted, and changes none."""


def add_event(tree: Tree, *, without: str = "") -> None:
    """Add the event `run.noted` with the command `NoteRun`, without one of its places if named."""
    for file, place, text in DEFINITIONS:
        tree.insert(file, place, text)
    for name, (file, place, text) in TABLES.items():
        if name != without:
            tree.insert(file, place, text)
    tree.insert("tests/run/test_transitions.py", '    "run.metadata_patched":  ', EXPECTED)


@pytest.mark.slow
def test_add_an_event(tree: Tree) -> None:
    add_event(tree)
    tree.write_reference()
    assert "### `run.noted`" in (tree.root / "docs" / "events.md").read_text(encoding="utf-8")
    tree.tested(PLACES, "tests/run/test_transitions.py")
    tree.tested(*LAWS)


@pytest.mark.slow
@pytest.mark.parametrize("place", sorted(TABLES.keys() - {"states"}))
def test_a_place_of_an_event_that_is_forgotten_is_named(tree: Tree, place: str) -> None:
    add_event(tree, without=place)
    done = tree.untested(PLACES)
    assert done.returncode == 1
    assert "RunNoted" in done.stdout or "NoteRun" in done.stdout


@pytest.mark.slow
def test_add_a_read_model(tree: Tree) -> None:
    folder = "projections/read_models/heartbeats"
    tree.write(
        f"{folder}/model.toml",
        '[tables.heartbeats]\nkey = ["run_id"]\nrun = "run_id"\nborn = "born"\n',
    )
    tree.write(
        f"{folder}/schema.sql",
        """-- heartbeats: how often the worker of a run said that it is alive.
CREATE TABLE heartbeats (
    run_id VARCHAR NOT NULL,
    born BIGINT NOT NULL,
    beats BIGINT NOT NULL
);
""",
    )
    tree.write(
        f"{folder}/apply.sql",
        """-- update [run.heartbeat_recorded]: the runs that had some
UPDATE heartbeats AS h SET beats = h.beats + b.beats
FROM (SELECT stream, born, count(*) AS beats FROM run_heartbeat_recorded GROUP BY ALL) b
WHERE h.born = b.born AND h.run_id = b.stream;

-- insert [run.heartbeat_recorded]: the others
INSERT INTO heartbeats BY NAME
SELECT stream AS run_id, b.born, count(*) AS beats
FROM run_heartbeat_recorded b ANTI JOIN heartbeats h ON h.born = b.born AND h.run_id = b.stream
GROUP BY ALL;
""",
    )
    tree.write(
        f"{folder}/delete.sql",
        """-- delete: the rows of deleted runs
DELETE FROM heartbeats h USING deleted d WHERE h.born = d.born AND h.run_id = d.run_id;
""",
    )
    tree.write_reference()
    assert "## heartbeats" in (tree.root / "docs" / "read_models.md").read_text(encoding="utf-8")
    done = tree.untested(*LAWS)
    assert "heartbeats" in done.stdout, "the oracle does not know it yet"
    tree.insert(
        "tests/projections/oracle.py",
        '        "run_durations": durations,\n',
        '        "heartbeats": _heartbeats(streams),\n',
    )
    tree.append(
        "tests/projections/oracle.py",
        """

def _heartbeats(streams: dict[str, list[StoredEvent]]) -> list[Row]:
    rows = []
    for stream, events in streams.items():
        beats = sum(event.event.topic == "run.heartbeat_recorded" for event in events)
        if beats:
            rows.append({"run_id": stream, "born": events[0].event.born, "beats": beats})
    return rows
""",
    )
    tree.tested(*LAWS)
    tree.tested("tests/projections/test_renamed_models.py")


@pytest.mark.slow
def test_add_a_column(tree: Tree) -> None:
    tree.insert(
        "projections/read_models/steps/schema.sql", "    born BIGINT", "    event_id VARCHAR,\n"
    )
    apply = "projections/read_models/steps/apply.sql"
    tree.insert(apply, "occurred_at AS created_at, provider_name, provider_category", "event_id, ")
    tree.insert(
        "tests/projections/oracle.py",
        '            "feedback": None,\n            "tags"',
        '            "event_id": event.event_id if recorded else None,\n',
    )
    tree.tested(*LAWS)


@pytest.mark.slow
def test_add_a_token_bucket(tree: Tree) -> None:
    buckets, records = "runledger/usage/buckets.py", "runledger/records.py"
    tree.replace(buckets, '"cache_write_1h_tokens")', '"cache_write_1h_tokens", "audio_tokens")')
    derived = '    follows["audio_tokens"] = parts.buckets.reasoning_tokens\n'
    tree.insert(buckets, "    if total is None and not (", derived)
    done = tree.untested("tests/projections/read_models/test_bucket_columns.py")
    assert "runledger/events.py: StepRecorded" in done.stdout
    tree.replace(EVENTS, "    revision = 3\n    derived", "    revision = 4\n    derived")
    tree.insert(
        "runledger/upcasters.py",
        '    ("run.step_recorded", 1): _as_it_is,',
        '    ("run.step_recorded", 3): _as_it_is,\n',
    )
    tree.insert(EVENTS, "    input_rule: Rule", "    audio_tokens: Count | None = None\n")
    tree.insert(STATE, "    tools_used: dict[str, None]", "    audio_tokens: int | None = None\n")
    tree.insert(
        records, "    metadata: dict[str, Any] = {}", "    audio_tokens: int | None = None\n"
    )
    tree.insert(records, "    input_rule: ", "    audio_tokens: int | None = None\n")
    tree.insert(records, "    steps: int\n", "    audio_tokens: int | None\n")
    tree.write_reference()
    page = (tree.root / "docs" / "read_models.md").read_text(encoding="utf-8")
    assert page.count("| `audio_tokens` | BIGINT |") == 3
    assert "| `audio_steps` | BIGINT NOT NULL |" in page
    tree.tested("tests/projections/read_models/test_bucket_columns.py")
    tree.tested(*LAWS)
