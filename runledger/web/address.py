"""An address of a view, built of segments and parameters, and never of text as it was sent."""

from collections.abc import Iterable
from typing import Self
from urllib.parse import quote, urlencode

Pairs = tuple[tuple[str, str], ...]


class Address:
    """A path and its query; immutable. It is written encoded, so that no value ends an attribute.

    Parameters:
        path: the path, encoded; `of` encodes segments.
        pairs: names and values of the query, in order; a name may come again.
    """

    def __init__(self, path: str, pairs: Pairs = ()) -> None:
        self.path, self.pairs = path, pairs

    @classmethod
    def of(cls, *segments: str, pairs: Pairs = ()) -> Self:
        """Return the address of these segments, each encoded whole, a slash inside it too."""
        return cls("/" + "/".join(quote(segment, safe="") for segment in segments), pairs)

    def having(self, **values: object) -> "Address":
        """Return the address with these parameters in the place of those named so; None is none."""
        kept = tuple(pair for pair in self.pairs if pair[0] not in values)
        added = tuple(
            (name, _text(one))
            for name, value in values.items()
            for one in (value if isinstance(value, list | tuple) else (value,))
            if one is not None and one != ""
        )
        return Address(self.path, kept + added)

    def adding(self, name: str, value: str) -> "Address":
        """Return the address with one more value of a parameter that takes several."""
        return Address(self.path, (*self.without(name, value).pairs, (name, value)))

    def without(self, name: str, value: str | None = None) -> "Address":
        """Return the address without a parameter, or without one of its values."""
        return Address(
            self.path,
            tuple(
                pair
                for pair in self.pairs
                if pair[0] != name or (value is not None and pair[1] != value)
            ),
        )

    def keeping(self, names: Iterable[str]) -> "Address":
        """Return the address with only the parameters of these names."""
        kept = set(names)
        return Address(self.path, tuple(pair for pair in self.pairs if pair[0] in kept))

    def twin(self, suffix: str) -> "Address":
        """Return the address of the same answer in another form, such as `json`."""
        return Address(f"{self.path}.{suffix}", self.pairs)

    def __str__(self) -> str:
        return f"{self.path}?{urlencode(self.pairs)}" if self.pairs else self.path


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
