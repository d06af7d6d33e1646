"""`runledger verify-proof`: check the proof of a run, without ledger and database."""

from pathlib import Path
from typing import Annotated

import typer

from runledger.cli import printing
from runledger.cli.options import Json, example

app = typer.Typer()


@app.command(
    name="verify-proof",
    epilog=example("runledger verify-proof proof.json --key ledger.key.pub"),
)
def verify_proof(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The proof.")],
    key: Annotated[str, typer.Option(metavar="KEY", help="The public key, or its file.")],
    as_json: Json = False,
) -> None:
    """Check that a log had the events of a proof; exit code 1 if the proof does not hold.

    Nothing is said of events that were appended after the checkpoint, or of whether what was
    recorded is true.
    """
    from runledger.errors import InvalidArgument
    from runledger.proofs.notes import read_verifier
    from runledger.proofs.run_proof import check_proof

    try:
        text = file.read_bytes()
    except OSError as e:
        raise InvalidArgument(f"proof {str(file)!r}: cannot be read: {e.strerror}") from e
    proof, checkpoint = check_proof(text, read_verifier(key))
    if as_json:
        shown = {"run": proof.run, "events": len(proof.events)}
        printing.print_json(
            {**shown, "origin": checkpoint.origin, "size": checkpoint.size, "holds": True}
        )
    else:
        typer.echo(
            f"{proof.run}: versions 1 to {len(proof.events):,} were in the log {checkpoint.origin} "
            f"when it had {checkpoint.size:,} events"
        )
