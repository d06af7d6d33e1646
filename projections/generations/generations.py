"""The generations of one path: the live file, and beside it a folder with the numbered others."""

import json
import os
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from pydantic import ValidationError

from projections.files.linked_path import behind_link
from projections.files.ownership import FOLDER, free_name
from projections.files.writer_lock import WriterLock
from projections.fold.generation import Generation, expect_own
from projections.generations.manifest import DROP, NONE, GenerationManifest, State, expect_step
from runledger.durable_file import flush, sweep, write_text
from runledger.errors import NotFound, ReadModelsError, ReadModelsLocked, describe

_NAME: Final = re.compile(r"^(\d{6,})\.(?:duckdb|json)$")


class Generations:
    """Names, manifests and the atomic switch; see docs/replay.md."""

    def __init__(self, path: str | Path) -> None:
        self.path = behind_link(path).absolute()
        self.folder = self.path.with_name(f"{self.path.name}{FOLDER}")

    def file(self, number: int) -> Path:
        """The path of a generation that is not live."""
        return self.folder / f"{number:06d}.duckdb"

    def _manifest(self, number: int) -> Path:
        return self.folder / f"{number:06d}.json"

    def numbers(self) -> list[int]:
        """Return every number in use, in order."""
        names = os.listdir(self.folder) if self.folder.is_dir() else []
        return sorted({int(found[1]) for name in names if (found := _NAME.match(name))})

    def next_number(self) -> int:
        """Return a number that was never used; 1 is that of the first live generation."""
        return max([1, *self.numbers()]) + 1

    def first_number(self) -> int:
        """Return the number for a live generation that is made if there is none."""
        return self.next_number() if self.numbers() else 1

    def entries(self) -> list[GenerationManifest]:
        """Return the manifests of the existing generations, in order."""
        found = [self.find(number) for number in self.numbers()]
        return [entry for entry in found if entry is not None]

    def find(self, number: int) -> GenerationManifest | None:
        """Return the manifest of a generation; None if there is none."""
        try:
            text = self._manifest(number).read_bytes()
            entry = GenerationManifest.model_validate_json(text)
        except FileNotFoundError:
            return None
        except ValidationError as e:
            raise ReadModelsError(
                f"manifest {str(self._manifest(number))!r}: {describe(e)}; "
                f"drop the generation, or use the version of runledger that built it"
            ) from e
        there = self.path if entry.state == "live" else self.file(number)
        if not there.exists():
            return None
        return entry.model_copy(update={"size": there.stat().st_size})

    def get(self, number: int) -> GenerationManifest:
        """Return the manifest of a generation, or raise NotFound."""
        found = self.find(number)
        if found is None:
            have = ", ".join(str(entry.number) for entry in self.entries()) or "none"
            raise NotFound("generation", str(number), f"there are {have}")
        return found

    def record(
        self, generation: Generation, state: State, seconds: float | None = None
    ) -> GenerationManifest:
        """Write the manifest of an open generation; ReadModelsError for a state it cannot have."""
        about = generation.about
        before = self.find(about.number)
        if seconds is None and before is not None:
            seconds = before.seconds
        entry = GenerationManifest(
            **{name: value for name, value in about._asdict().items() if name != "layout"},
            state=state,
            models={model.name: model.digest for model in generation.models},
            rows=generation.rows(),
            seconds=seconds,
        )
        self._write(entry)
        return entry

    def mark(self, number: int, state: State) -> None:
        """Change the state in a manifest."""
        text = self._manifest(number)
        if text.exists():
            entry = GenerationManifest.model_validate(json.loads(text.read_bytes()))
            self._write(entry.model_copy(update={"state": state}))

    def _write(self, entry: GenerationManifest) -> None:
        before = self._written(entry.number)
        expect_step(entry.number, NONE if before is None else before.state, entry.state)
        self.folder.mkdir(exist_ok=True)
        write_text(self._manifest(entry.number), entry.model_dump_json(indent=2) + "\n")

    def recover(self, live: Generation) -> None:
        """Repair the state that a killed switch left; `live` is the open live generation.

        The number inside the live file is authoritative. A second name of the live file in the
        folder is left by a switch that was killed before or after its rename: it is deleted in both
        cases.
        """
        if self.folder.is_dir():
            sweep(self.folder, ".*.part*", "*.parts")
            # Only the process that has the live file open verifies it.
            sweep(self.folder, "verify.duckdb*", alone=True)
        number = live.about.number
        twin = self.file(number)
        if twin.exists():
            if twin.samefile(self.path):
                twin.unlink()
            else:
                # The live file was copied away and back: two files claim one number.
                number = max(number + 1, self.next_number())
                live.renumber(number)
        for other in self.numbers():
            if other == number:
                continue
            if not self.file(other).exists():
                self._manifest(other).unlink(missing_ok=True)
            elif (entry := self.find(other)) is None or entry.state == "live":
                self.mark(other, "kept")
        if (entry := self._written(number)) is None or entry.state != "live":
            self.record(live, "live")

    def _written(self, number: int) -> GenerationManifest | None:
        try:
            return GenerationManifest.model_validate_json(self._manifest(number).read_bytes())
        except (FileNotFoundError, ValidationError):
            return None

    def exchange(self, live: int | None, number: int) -> None:
        """Make a generation the live one, in one rename; the live one is kept under its number.

        Both files must be closed. If the process is killed at any point, either the old or the new
        generation is at the path: the old one gets a second name first, then the new one is renamed
        over it.
        """
        chosen = self.file(number)
        for file in (self.path, chosen):
            log = file.with_name(f"{file.name}.wal")
            if log.exists():
                raise ReadModelsError(
                    f"read models {str(file)!r}: expected a file written whole, found {log.name!r} "
                    f"beside it; nothing was switched"
                )
        try:
            if live is not None and not self.file(live).exists():
                os.link(self.path, self.file(live))
                flush(self.folder)
            os.replace(chosen, self.path)
        except OSError as e:
            raise ReadModelsError(f"switch to generation {number}: {e}") from e
        flush(self.path.parent)
        flush(self.folder)

    def install(self, number: int) -> GenerationManifest:
        """Make a generation the live one if there is none."""
        self.get(number)
        try:
            # A link, not a rename: it fails if another process has made live read models meanwhile.
            os.link(self.file(number), self.path)
        except OSError as e:
            raise ReadModelsError(f"switch to generation {number}: {e}") from e
        self.file(number).unlink()
        self.mark(number, "live")
        return self.get(number)

    def replace_damaged(self, number: int) -> GenerationManifest:
        """Replace a live file that cannot be used by a generation.

        The unusable file is kept as `….damaged`, or under the first such name that is free.

        Raises:
            NotReadModels: if the ledger did not make the file.
            ReadModelsLocked: if this process has the file open for writing.
        """
        expect_own(self.path)
        hold = WriterLock(self.path)
        try:
            for name in ("", ".wal"):
                damaged = Path(f"{self.path}{name}")
                if damaged.exists():
                    os.rename(damaged, free_name(Path(f"{self.path}.damaged{name}")))
        finally:
            hold.release()
        return self.install(number)

    def drop(self, number: int) -> None:
        """Delete a generation that is not live.

        Raises:
            NotFound: if there is no such generation.
            ReadModelsLocked: if another process is building it.
        """
        try:
            entry = self.find(number)
        except ReadModelsError:
            entry = None
        if entry is None and not self.file(number).exists():
            self.get(number)
        if entry is not None and entry.state not in DROP.allowed:
            raise ReadModelsError(
                f"generation {number}: expected one that is not live; switch to another before"
            )
        try:
            Generation(self.file(number), read_only=True).close()
        except ReadModelsLocked:
            raise
        except ReadModelsError:
            pass  # Damaged, or of a newer version: no process uses it.
        # The manifest is deleted last: a file without one would be a generation that is not listed.
        for file in (self.file(number), Path(f"{self.file(number)}.wal"), self._manifest(number)):
            file.unlink(missing_ok=True)

    def prune(self, keep: int, spare: Iterable[int] = ()) -> list[int]:
        """Drop candidates and all but the `keep` newest old generations; return the dropped
        numbers."""
        spared = set(spare)
        entries = [entry for entry in self.entries() if entry.number not in spared]
        kept = [entry.number for entry in entries if entry.state == "kept"]
        gone = kept[: max(0, len(kept) - keep)]
        gone += [entry.number for entry in entries if entry.state == "candidate"]
        for number in gone:
            self.drop(number)
        return sorted(gone)
