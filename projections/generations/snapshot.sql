-- attach: a closed generation, beside the one that the connection has open
ATTACH $path AS runledger_candidate (READ_ONLY);

-- detach: let go of it
DETACH runledger_candidate;

-- attach_copy: an empty file beside
ATTACH $path AS runledger_copy;

-- copy: everything that the transaction sees; the order of rows, by which scans find their way, stays
COPY FROM DATABASE {database} TO runledger_copy;

-- detach_copy: write it whole and let go of it
DETACH runledger_copy;

-- database: what the open generation is called
SELECT current_database();
