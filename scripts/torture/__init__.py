"""A campaign against the ledger: processes that are killed, stopped and cut off, and a checker.

The checker reads the log's table and JSON by itself and shares no code with the product, so that a
fault in reading cannot hide one in writing. It knows what was acknowledged from files that the
writers keep. Run it by `make torture MINUTES=5`.
"""
