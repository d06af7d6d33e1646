"""Our own interface, `/api/v1`: the ledger's commands and questions by their own names."""
