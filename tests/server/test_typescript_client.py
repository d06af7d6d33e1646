"""A client in TypeScript, whose types openapi-typescript makes of the server's own document."""

import shutil
import subprocess
from pathlib import Path

import pytest
from running import RunningServer

pytestmark = pytest.mark.typescript

SOURCE = Path(__file__).parent / "typescript"


@pytest.mark.skipif(shutil.which("npm") is None, reason="NO NPM: install node")
def test_a_typed_client_reports_and_lists_a_run(tmp_path: Path) -> None:
    def run(*command: str) -> str:
        done = subprocess.run(
            command, check=False, cwd=tmp_path, capture_output=True, text=True, timeout=600
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    shutil.copytree(SOURCE, tmp_path, dirs_exist_ok=True)
    run("npm", "install", "--no-audit", "--no-fund", "--no-package-lock")
    with RunningServer(f"sqlite:///{tmp_path}/runs.db", tmp_path / "runs.duckdb") as server:
        with server.client() as client:
            document = client.get("/api/v1/openapi.json").text
        (tmp_path / "openapi.json").write_text(document)
        made = ("openapi-typescript", "openapi.json", "--default-non-nullable=false")
        run("npx", *made, "--output", "ledger.ts")
        run("npx", "tsc", "--project", ".")
        listed, refused = run("node", "out/client.js", server.url).splitlines()
        (row,) = server.do(server.ledger.list_runs())
    assert listed == f"{row.run_id} completed 812"
    assert refused == "400 urn:runledger:error:invalid-id"
