"""A forger with the database's password: changes rows, and makes tiles again that agree."""

from runledger.store import Store
from runledger.store.commitments import Commitment, commit, pack
from runledger.store.protocol import StoredRow
from runledger.store.tiles import WIDTH, leaves_of, tile_of
from tests.store.conftest import Raw


def unguard(raw: Raw, store_url: str) -> None:
    """Take the triggers away that keep events as they are."""
    if store_url.startswith("sqlite"):
        raw("DROP TRIGGER IF EXISTS ledger_events_no_update")
        raw("DROP TRIGGER IF EXISTS ledger_events_no_delete")
    else:
        raw("ALTER TABLE ledger_events DISABLE TRIGGER USER")


def let_renumber(raw: Raw, store_url: str) -> None:
    """Let positions be changed; nothing can be appended afterwards."""
    if store_url.startswith("postgresql"):
        raw("ALTER TABLE ledger_events ALTER notification_id DROP IDENTITY IF EXISTS")


def spoil(raw: Raw, position: int, column: str = "state") -> None:
    """Change the case of one letter of what is stored of an event."""
    ((data,),) = raw(f"SELECT {column} FROM ledger_events WHERE notification_id = %s", position)
    at = next(at for at in range(len(data) - 1, 0, -1) if chr(data[at]).isalpha())
    changed = data[:at] + bytes([data[at] ^ 0x20]) + data[at + 1 :]
    raw(f"UPDATE ledger_events SET {column} = %s WHERE notification_id = %s", changed, position)


def make_tiles_again(raw: Raw, store: Store) -> None:
    """Make every tile of what the log has now; salts of contents that are as they were stay."""
    kept = {}
    for tile in store.tiles(0, 1_000):
        kept.update(enumerate(tile.commitments(), tile.number * WIDTH))
    size, after = store.tiles_end().size, 0
    raw("DELETE FROM ledger_tiles")
    for number in range((size + WIDTH - 1) // WIDTH):
        count = min(WIDTH, size - number * WIDTH)
        rows: list[StoredRow] = store.read_log(after, count, contents=True)
        if not rows:
            return
        made = [_again(kept.get(at), row) for at, row in enumerate(rows, number * WIDTH)]
        store.put_tile(
            tile_of(number, rows, False)._replace(
                leaves=b"".join(leaves_of(rows, made)), contents=pack(made)
            )
        )
        after = rows[-1].position


def _again(known: Commitment | None, row: StoredRow) -> Commitment | None:
    return known if known and known.holds(row.contents) else commit(row.contents)


def rewrite(raw: Raw, store_url: str, store: Store, position: int) -> None:
    """Change an event, and everything in the database that would tell."""
    unguard(raw, store_url)
    spoil(raw, position)
    make_tiles_again(raw, store)
