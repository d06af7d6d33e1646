"""Questions to the read models, answered as records."""
