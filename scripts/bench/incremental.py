"""Does a batch cost more when there is more history?"""

import time
from collections.abc import Iterator
from contextlib import closing
from statistics import median

from projections.fold.engine import Engine
from projections.fold.generation import Generation
from runledger.store import open_store
from scripts.bench.bench import Bench
from scripts.bench.rounds import percentile
from scripts.bench.row import Figure, Mark, Row

BATCH = 1_000


def rows(bench: Bench) -> Iterator[Row]:
    """Yield the time of a batch after a long history beside that after a short one."""
    size = bench.size
    url = bench.log("postgresql")
    took: dict[int, list[float]] = {size.events: [], size.few_events: []}
    with closing(open_store(url, create=False)) as store:
        engines = {}
        opened: list[Generation] = []
        readers = []
        for events in took:
            opened.append(Generation(bench.read_models(events)))
            readers.append(store.log_reader())
            engines[events] = Engine(opened[-1], readers[-1], batch_events=BATCH)
        for _ in range(size.samples):
            for events, engine in engines.items():
                begin = time.perf_counter()
                engine.catch_up(engine.position + BATCH)
                took[events].append(1000 * (time.perf_counter() - begin))
        for reader, generation in zip(readers, opened, strict=True):
            reader.close()
            generation.close()
    many, few = took[size.events], took[size.few_events]
    peer = Figure(f"{size.few_events:,} events of history", median(few))
    ratio = median(a / b for a, b in zip(many, few, strict=True))
    figure = f"batch of {BATCH:,} events after {size.events:,}"
    yield Row(f"{figure}, p50", median(many), "ms", peer, None, ratio, Mark("≤", 1.3))
    yield Row(f"{figure}, p95", percentile(many, 95), "ms")
