-- make: the prices of the names in steps, one row for each cell; a missing name is an empty text
CREATE OR REPLACE TEMP TABLE step_prices (
    organization VARCHAR, provider VARCHAR, named_model VARCHAR, requested VARCHAR, tier VARCHAR,
    known_from BIGINT, known_to BIGINT, valid_from TIMESTAMP, valid_to TIMESTAMP,
    minute_from INTEGER, minute_to INTEGER, input_from BIGINT, input_to BIGINT,
    <bucket> DECIMAL(18, 12),
    <bucket_flag> VARCHAR,
    price_row VARCHAR, flags VARCHAR
);

-- lists: the prices that were listed, in order
SELECT position, organization, content FROM price_lists ORDER BY position;

-- names: the names in the steps that are to be priced
SELECT DISTINCT organization, coalesce(provider_name, ''), coalesce(model, ''),
    coalesce(model_handle, ''), tier
FROM used_steps;

-- add: the cells of some names; prices are whole numbers of pico-dollars
INSERT INTO step_prices BY NAME
SELECT unnest($organization::VARCHAR[]) AS organization, unnest($provider::VARCHAR[]) AS provider,
    unnest($named_model::VARCHAR[]) AS named_model, unnest($requested::VARCHAR[]) AS requested,
    unnest($tier::VARCHAR[]) AS tier, unnest($known_from::BIGINT[]) AS known_from,
    unnest($known_to::BIGINT[]) AS known_to, unnest($valid_from::TIMESTAMP[]) AS valid_from,
    unnest($valid_to::TIMESTAMP[]) AS valid_to, unnest($minute_from::INTEGER[]) AS minute_from,
    unnest($minute_to::INTEGER[]) AS minute_to, unnest($input_from::BIGINT[]) AS input_from,
    unnest($input_to::BIGINT[]) AS input_to,
    pico(unnest($<bucket>::BIGINT[])) AS <bucket>,
    unnest($<bucket_flag>::VARCHAR[]) AS <bucket_flag>,
    unnest($price_row::VARCHAR[]) AS price_row, unnest($flags::VARCHAR[]) AS flags;

-- pico: pico-dollars as dollars, exactly
CREATE OR REPLACE TEMP MACRO pico(price) AS
    (price::DECIMAL(18, 0) * 0.000000000001::DECIMAL(12, 12))::DECIMAL(18, 12);
