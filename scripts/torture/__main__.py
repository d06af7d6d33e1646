"""`python -m scripts.torture --minutes 5`: a campaign on each database; exit code 1 for a finding.

With `--mutation`, a fault is put into the product, and the exit code is 1 if it is not found.
"""

import argparse
import os
import random
import sys
from pathlib import Path
from tempfile import mkdtemp

from scripts.torture.campaign import Campaign
from scripts.torture.databases import opened
from scripts.torture.mutations import MUTATED, MUTATIONS


def main() -> int:
    """Run the campaigns; return the exit code."""
    given = argparse.ArgumentParser(prog="torture", description=__doc__)
    given.add_argument("--minutes", type=float, default=5.0, help="for all databases together")
    given.add_argument("--database", choices=("sqlite", "postgresql"), action="append")
    given.add_argument("--mutation", choices=MUTATIONS, default="none")
    given.add_argument("--seed", type=int, default=None)
    asked = given.parse_args()
    random.seed(asked.seed)
    mutated = asked.mutation != "none"
    every = [MUTATED[asked.mutation][0]] if mutated else ["sqlite", "postgresql"]
    names = asked.database or every
    clean = True
    for name in names:
        folder = Path(mkdtemp(prefix=f"torture-{name}-"))
        # The server of PostgreSQL runs as a user of its own.
        os.chmod(folder, 0o755)
        with opened(name, folder) as database:
            report = Campaign(database, folder, asked.mutation).run(60 * asked.minutes / len(names))
        print(report, flush=True)
        if not report.clean:
            print(f"  the processes' output and claims are in {folder}", flush=True)
        found = report.found[MUTATED[asked.mutation][1]] if mutated else not report.clean
        clean = clean and not found
    if mutated:
        print(f"mutation {asked.mutation}: {'NOT found' if clean else 'found'}", flush=True)
    return int(clean == mutated)


if __name__ == "__main__":
    sys.exit(main())
