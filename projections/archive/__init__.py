"""The log in Parquet files: written, checked, read and replayed without the store."""
