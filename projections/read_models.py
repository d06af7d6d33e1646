"""The read models found on disk: a folder each, with schema.sql, apply.sql, maybe delete.sql."""

from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from pathlib import Path

from runledger.sql_file import statements

ROOT = Path(__file__).parent


@dataclass(frozen=True, slots=True)
class ReadModel:
    """The SQL of a read model; `digest` changes whenever the SQL that makes its rows does."""

    name: str
    schema: str
    apply: dict[str, str]
    delete: dict[str, str]
    digest: str


@cache
def discover(root: Path = ROOT) -> tuple[ReadModel, ...]:
    """Return the read models under `root` by name."""
    found = []
    for schema in sorted(root.glob("*/schema.sql")):
        folder = schema.parent
        texts = {
            name: (folder / f"{name}.sql").read_text(encoding="utf-8")
            for name in ("schema", "apply", "delete")
            if (folder / f"{name}.sql").exists()
        }
        joined = "\0".join(texts[name] for name in sorted(texts))
        found.append(
            ReadModel(
                folder.name,
                texts["schema"],
                statements(folder / "apply.sql"),
                statements(folder / "delete.sql") if "delete" in texts else {},
                sha256(joined.encode()).hexdigest(),
            )
        )
    return tuple(found)
