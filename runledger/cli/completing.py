"""`runledger completion`: the script by which a shell completes a line."""

from typing import Annotated, Final

import typer

from runledger.cli.options import example

app = typer.Typer()
SHELLS: Final = ("bash", "zsh", "fish")


@app.command(
    epilog=example(
        "runledger completion bash > ~/.local/share/bash-completion/completions/runledger",
        "runledger completion fish > ~/.config/fish/completions/runledger.fish",
    )
)
def completion(
    shell: Annotated[str, typer.Argument(metavar="SHELL", help=f"One of {', '.join(SHELLS)}.")],
) -> None:
    """Print the script by which a shell completes commands, options, and ids of the ledger."""
    if shell not in SHELLS:
        raise typer.BadParameter(f"expected one of {', '.join(SHELLS)}, found {shell!r:.40}")
    from typer.completion import get_completion_script  # type: ignore[attr-defined]

    from runledger.cli.main import COMPLETES

    typer.echo(get_completion_script(prog_name="runledger", complete_var=COMPLETES, shell=shell))
