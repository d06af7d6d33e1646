"""`runledger keys`: shown once, listed without their text, revoked."""

from pathlib import Path

from command_line import Command


def test_a_key_is_made_listed_and_revoked(runledger: Command, runs: Path) -> None:
    made = runledger(
        "keys", "create", "loop", "--scope", "runs:write", "--organization", "org-a", "--json"
    ).json
    assert made["key"].startswith(f"rlk_{made['key_id']}_")
    assert made["scopes"] == ["runs:write"]
    (listed,) = runledger("keys", "list", "--json").json
    assert listed == {name: value for name, value in made.items() if name != "key"}
    assert made["key"] not in runledger("keys", "list").out
    assert "revoked" in runledger("keys", "revoke", made["key_id"]).out
    assert runledger("keys", "list", "--json").json[0]["revoked_at"]


def test_an_operators_key_is_of_all_organizations(runledger: Command, runs: Path) -> None:
    made = runledger("keys", "create", "ada", "--organization", "*", "--json").json
    assert made["organization"] == "*"


def test_a_scope_that_there_is_not_is_refused(runledger: Command, runs: Path) -> None:
    refused = runledger("keys", "create", "ada", "--scope", "all")
    assert refused.code == 1
    assert "runs:read" in refused.err
