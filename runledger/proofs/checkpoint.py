"""A checkpoint: how many events a log had, and the root of its tree then."""

import base64
from typing import NamedTuple

from runledger.errors import InvalidArgument
from runledger.proofs.notes import Signer, Verifier, open_note


class Checkpoint(NamedTuple):
    """The size and the root of a log at one moment; `origin` names the log. Source: C2SP."""

    origin: str
    size: int
    root: bytes

    def text(self) -> str:
        """Return the text that is signed."""
        return f"{self.origin}\n{self.size}\n{base64.b64encode(self.root).decode()}\n"

    def signed(self, signer: Signer) -> str:
        """Return the signed note."""
        return signer.sign(self.text())


def read_checkpoint(note: str, verifier: Verifier) -> Checkpoint:
    """Return the checkpoint of a signed note.

    Raises InvalidArgument if the key has not signed it, or it is the checkpoint of another log.
    """
    origin, size, root, *_ = [*open_note(note, verifier).splitlines(), "", "", ""]
    try:
        found = Checkpoint(origin, int(size), base64.b64decode(root, validate=True))
    except ValueError:
        raise InvalidArgument("checkpoint: expected three lines: origin, size, root") from None
    if found.origin != verifier.name or found.size < 0 or len(found.root) != 32:
        raise InvalidArgument(
            f"checkpoint: expected a size and a root of {verifier.name!r}, found {origin!r}"
        )
    return found
