"""The layouts of a generation's own tables: what each number added."""

from typing import Final

LAYOUTS: Final = {
    1: "one checkpoint and the SQL of each read model, as in 0.1.0",
    2: "what each read model declares, and marks that tell if the log is still the same one",
}
"""Number → what it is; a generation of an older layout answers by its own SQL until a replay."""
LAYOUT: Final = max(LAYOUTS)
"""The layout of new generations. Read models are versioned by their digests."""
