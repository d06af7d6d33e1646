"""The store for real loads: PostgreSQL through psycopg, appends in one round trip."""
