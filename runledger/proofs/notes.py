"""Signed notes of C2SP: a text, and Ed25519 signatures of it that name their key.

Sources: c2sp.org/signed-note and c2sp.org/tlog-checkpoint; keys are written as Go's
golang.org/x/mod/sumdb/note writes them.
"""

import base64
import os
from hashlib import sha256
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Final, NamedTuple

from runledger.errors import InvalidArgument

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric import ed25519

_ED25519: Final = b"\1"
_PRIVATE: Final = "PRIVATE+KEY+"
_MARK: Final = "\u2014 "


class Verifier(NamedTuple):
    """A public key and its name, which is the origin of the checkpoints that it signs."""

    name: str
    public: bytes

    def __str__(self) -> str:
        """Return it as text: name, id and key."""
        key = base64.b64encode(_ED25519 + self.public).decode()
        return f"{self.name}+{_key_id(self.name, self.public).hex()}+{key}"


class Signer(NamedTuple):
    """A private key of 32 bytes and its name."""

    name: str
    seed: bytes

    @property
    def verifier(self) -> Verifier:
        """The public half."""
        return Verifier(self.name, self._key().public_key().public_bytes_raw())

    def sign(self, text: str) -> str:
        """Return the note: a text that ends with a line feed, and its signature."""
        public = self.verifier.public
        signature = _key_id(self.name, public) + self._key().sign(text.encode())
        return f"{text}\n{_MARK}{self.name} {base64.b64encode(signature).decode()}\n"

    def _key(self) -> "ed25519.Ed25519PrivateKey":
        made: ed25519.Ed25519PrivateKey = _library().Ed25519PrivateKey.from_private_bytes(self.seed)
        return made

    def __str__(self) -> str:
        """Return it without the private half."""
        return str(self.verifier)


def new_key(name: str, path: Path) -> Signer:
    """Make a private key, and write it to a new file that its owner alone may read.

    Args:
        name: What the key signs for, such as `example.org/ledger`; the origin of its checkpoints.
            It has neither spaces nor a plus sign.
        path: The file; one that exists is refused, as a key that is lost cannot be made again.

    Returns:
        The key; its public half is written beside, to a file whose name ends with `.pub`.

    Raises:
        InvalidArgument: If the name or the file is not usable, or the extra `trust` is missing.

    """
    if not name or "+" in name or any(c.isspace() or not c.isprintable() for c in name):
        raise InvalidArgument(f"key name {name!r}: expected a name without spaces and `+`")
    signer = Signer(name, _library().Ed25519PrivateKey.generate().private_bytes_raw())
    verifier = signer.verifier
    secret = base64.b64encode(_ED25519 + signer.seed).decode()
    text = f"{_PRIVATE}{name}+{_key_id(name, verifier.public).hex()}+{secret}\n"
    try:
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        path.with_name(f"{path.name}.pub").write_text(f"{verifier}\n")
    except OSError as e:
        raise InvalidArgument(f"key {str(path)!r}: expected a new file: {e.strerror}") from e
    return signer


def read_signer(path: Path) -> Signer:
    """Read a private key; raises InvalidArgument, which contains no part of it."""
    text = _read(path)
    if not text.startswith(_PRIVATE):
        raise InvalidArgument(f"key {str(path)!r}: expected a private key, found another text")
    name, raw, key_id = _parse(text.removeprefix(_PRIVATE), f"key {str(path)!r}")
    signer = Signer(name, raw)
    if _key_id(name, signer.verifier.public) != key_id:
        raise InvalidArgument(f"key {str(path)!r}: its id is that of another key")
    return signer


def read_verifier(text: str) -> Verifier:
    """Read a public key, `name+id+key`, or the file that holds it; raises InvalidArgument."""
    where = "public key"
    if "+" not in text:
        where, text = f"public key {text!r}", _read(Path(text))
    name, public, key_id = _parse(text, where)
    if _key_id(name, public) != key_id:
        raise InvalidArgument(f"{where}: its id is that of another key or name")
    return Verifier(name, public)


def open_note(note: str, verifier: Verifier) -> str:
    """Return the text of a note that a key has signed; raises InvalidArgument if it has not."""
    text, found, signatures = note.rpartition("\n\n")
    prefix = f"{_MARK}{verifier.name} "
    lines = [line for line in signatures.splitlines() if line.startswith(prefix)]
    for line in lines:
        signature = _base64(line.removeprefix(prefix), "the signature of a note")
        if signature[:4] == _key_id(verifier.name, verifier.public):
            if not _verified(verifier.public, signature[4:], f"{text}\n".encode()):
                break
            return f"{text}\n"
    raise InvalidArgument(
        f"note: expected a signature of {verifier.name!r} that holds, found "
        + ("one that does not" if found and lines else "none")
    )


def _verified(public: bytes, signature: bytes, text: bytes) -> bool:
    from cryptography.exceptions import InvalidSignature

    try:
        _library().Ed25519PublicKey.from_public_bytes(public).verify(signature, text)
    except InvalidSignature:
        return False
    return True


def _key_id(name: str, public: bytes) -> bytes:
    return sha256(name.encode() + b"\n" + _ED25519 + public).digest()[:4]


def _parse(text: str, where: str) -> tuple[str, bytes, bytes]:
    """Return name, key of 32 bytes and id; a base64 text may hold a plus sign, too."""
    parts = text.strip().split("+", 2)
    raw = _base64(parts[-1], where)
    try:
        key_id = bytes.fromhex(parts[1])
    except (ValueError, IndexError):
        key_id = b""
    if len(key_id) != 4 or len(raw) != 33 or raw[:1] != _ED25519:
        raise InvalidArgument(f"{where}: expected `name+id+key` of Ed25519")
    return parts[0], raw[1:], key_id


def _base64(text: str, where: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except ValueError:
        raise InvalidArgument(f"{where}: expected base64") from None


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except (OSError, ValueError) as e:
        raise InvalidArgument(f"key {str(path)!r}: cannot be read: {e}") from e


def _library() -> ModuleType:
    try:
        from cryptography.hazmat.primitives.asymmetric import ed25519
    except ImportError as e:
        raise InvalidArgument(
            "checkpoints are signed by Ed25519, which needs the package cryptography: "
            "pip install 'run-event-ledger[trust]'"
        ) from e
    return ed25519
