-- utc: times are those of UTC, whatever the zone of the machine is
SET TimeZone = 'UTC';

-- typed: lines of JSON, with a type for each column
SELECT * FROM read_json({path}, format = 'newline_delimited', columns = {{{columns}}}, maximum_object_size = {longest});

-- as_found: lines of JSON, with the types that their values have
SELECT * FROM read_json({path}, format = 'newline_delimited', sample_size = -1, maximum_object_size = {longest});

-- parquet: these rows in one file
COPY ({rows}) TO {path} (FORMAT parquet, COMPRESSION zstd);
