"""The fold of the log: batches of events become rows of read models."""
