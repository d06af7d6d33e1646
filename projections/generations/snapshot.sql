-- attach_copy: an empty file beside
ATTACH $path AS runledger_copy;

-- copy: everything that the transaction sees; the order of rows, by which scans find their way, stays
COPY FROM DATABASE {database} TO runledger_copy;

-- detach_copy: write it whole and let go of it
DETACH runledger_copy;

-- database: what the open generation is called
SELECT current_database();
