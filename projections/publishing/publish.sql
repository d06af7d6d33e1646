-- mark: mark a published file as read-only, so that projecting into it is refused
CREATE TABLE published AS SELECT now() AS published_at;

-- attach: attach a copy, in a separate DuckDB instance: opening it by its path would share the
-- instance of the copy that was there before
ATTACH $path AS published (READ_ONLY);

-- use: make its tables available by unqualified names
USE published;
