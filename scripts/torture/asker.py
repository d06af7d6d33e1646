"""The ledger's command line with a mutation, which is the first of its arguments."""

import sys

from runledger.cli.main import main
from scripts.torture.mutations import mutate_reader

if __name__ == "__main__":
    mutate_reader(sys.argv.pop(1))
    main()
