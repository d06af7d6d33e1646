"""A copy of the live generation, from which another generation is made."""

import os
import shutil
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import NamedTuple

from projections.fold.generation import Generation
from projections.generations.generations import Generations
from projections.operator.operator import Operator
from runledger.durable_file import sweep, writing_in


class Copy(NamedTuple):
    """The open copy, its future number, and a folder for temporary files."""

    generation: Generation
    number: int
    scratch: Path


@contextmanager
def copy_of_live(operator: Operator, generations: Generations) -> Iterator[Copy]:
    """Yield a copy for the block; it is deleted if the block fails.

    The block writes the manifest. A copy without one is not a generation: if a process is killed,
    the next replay deletes its copy.
    """
    folder = generations.folder
    folder.mkdir(parents=True, exist_ok=True)
    sweep(folder, "*.parts")
    with writing_in(folder):
        number = generations.next_number()
        file = generations.file(number)
        # Contains the process id: another process may be about to use the same number.
        scratch = folder / f"{number:06d}.{os.getpid()}.parts"
        scratch.mkdir()
        try:
            operator.copy(file)
            with closing(Generation(file)) as generation:
                generation.upgrade()
                yield Copy(generation, number, scratch)
        except BaseException:
            file.unlink(missing_ok=True)
            Path(f"{file}.wal").unlink(missing_ok=True)
            raise
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
