"""The operator's work on read models, in this process or in the one that has them open."""
