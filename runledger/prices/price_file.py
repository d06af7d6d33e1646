"""Files of prices: CSV with the columns of a price."""

import csv
from pathlib import Path

from runledger.errors import InvalidArgument
from runledger.prices.table import Price, price_row


def read_prices(file: Path) -> list[dict[str, str | int]]:
    """Return the rows of a file of prices.

    file: CSV with a header; missing columns are empty.

    Raises:
        InvalidArgument: if it cannot be read, for an unknown column, and for a wrong row; the
            message names the line.
    """
    try:
        text = file.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeError) as e:
        raise InvalidArgument(f"prices {str(file)!r}: expected a file of CSV: {e}") from e
    reader = csv.DictReader(text.splitlines())
    if unknown := set(reader.fieldnames or ()) - set(Price._fields):
        raise InvalidArgument(
            f"prices {str(file)!r}: expected the columns {', '.join(Price._fields)}, found "
            f"{', '.join(sorted(map(str, unknown)))}"
        )
    found: list[dict[str, str | int]] = []
    for row in reader:
        try:
            found.append(price_row(row)._asdict())
        except InvalidArgument as e:
            raise InvalidArgument(f"prices {str(file)!r}, line {reader.line_num}: {e}") from e
    return found
