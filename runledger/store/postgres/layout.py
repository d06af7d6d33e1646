"""The layout of a PostgreSQL store, read without changing it."""

import psycopg

from runledger.errors import StoreUnavailable
from runledger.store.postgres.address import parse
from runledger.store.postgres.statements import queries


def stored_layout(url: str) -> int | None:
    """Return the number of the layout, or None if no ledger is there.

    Parameters:
        url: postgresql://…, with `schema` among its parameters if it is not `public`.

    Raises:
        StoreUnavailable: if the database cannot be read.
    """
    address = parse(url)
    sql = queries(address.schema)
    try:
        with psycopg.connect(**address.keywords, autocommit=True, prepare_threshold=None) as db:
            ((there,),) = db.execute(sql["has_tables"]).fetchall()
            if not there:
                return None
            ((found,),) = db.execute(sql["schema_version"]).fetchall()
    except psycopg.Error as e:
        raise StoreUnavailable(f"store {address.shown!r}: {e}") from e
    return int(found)
