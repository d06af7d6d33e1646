"""A server in the Model Context Protocol: an agent asks the ledger; nothing can be written."""
