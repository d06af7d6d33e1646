"""`runledger serve --writer` as a process, at a port of the system. Argument: the store's URL."""

import sys
import time

from runledger.cli.main import main

if __name__ == "__main__":
    words = ["--store", sys.argv[1], "serve", "--writer", "--port", "0", "--no-access-log"]
    while True:
        sys.argv = ["runledger", *words]
        try:
            main()
        except SystemExit as e:
            # Without its store it does not start; it is tried again, as by a service manager.
            if e.code != 1:
                raise
            time.sleep(0.1)
