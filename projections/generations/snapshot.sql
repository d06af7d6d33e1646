-- attach: a closed generation, beside the one that the connection has open
ATTACH $path AS runledger_candidate (READ_ONLY);

-- detach: detach that generation
DETACH runledger_candidate;

-- attach_copy: attach an empty file, under a name of its own: several copies may be made at once
ATTACH $path AS {copy};

-- copy: everything that the transaction sees; the order of rows stays, because scans rely on it
COPY FROM DATABASE {database} TO {copy};

-- detach_copy: flush the copy and detach it
DETACH {copy};

-- database: the name of the open generation
SELECT current_database();
