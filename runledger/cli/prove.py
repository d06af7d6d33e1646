"""`runledger prove`: write the proof that the log had the events of a run."""

from pathlib import Path
from typing import Annotated

import typer

from runledger.cli.options import example
from runledger.cli.settings import opened_store

app = typer.Typer()


@app.command(
    epilog=example(
        "runledger prove run-1f… --checkpoints checkpoints/ --key ledger.key.pub -o proof.json"
    )
)
def prove(
    ctx: typer.Context,
    run_id: Annotated[str, typer.Argument(metavar="RUN_ID", help="The run.")],
    checkpoints: Annotated[Path, typer.Option(metavar="DIR", help="The folder of checkpoints.")],
    key: Annotated[str, typer.Option(metavar="KEY", help="The public key, or its file.")],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE", help="Standard output if none.")
    ] = None,
    contents: Annotated[
        bool, typer.Option("--contents", help="Show messages, arguments and returns, too.")
    ] = False,
) -> None:
    """Prove by the newest checkpoint that the log had the events of a run, as they are now.

    Messages, tool arguments and returns are in the proof as commitments, which tell nothing, unless
    --contents is given. Events that are younger than the checkpoint are not in it.
    """
    from runledger.errors import InvalidArgument
    from runledger.proofs.checkpoint_folder import CheckpointFolder
    from runledger.proofs.notes import read_verifier
    from runledger.proofs.run_proof import prove_run

    with opened_store(ctx) as store:
        made = prove_run(
            store, run_id, CheckpointFolder(checkpoints), read_verifier(key), contents=contents
        )
    text = made.model_dump_json(indent=1, exclude_none=True)
    if output is None:
        typer.echo(text)
        return
    try:
        output.write_text(f"{text}\n")
    except OSError as e:
        raise InvalidArgument(f"proof {str(output)!r}: not written: {e.strerror}") from e
    typer.echo(f"{made.run}: {len(made.events):,} events in {output}")
