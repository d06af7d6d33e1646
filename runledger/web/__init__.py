"""The page: runs, numbers and repairs in a browser, drawn by the server that holds the ledger."""
