"""`python -m runledger`: the command line, if the command itself is not on the path."""

from runledger.cli.main import main

main()
