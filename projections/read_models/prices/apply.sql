-- adopted [prices.adopted]: tables for all organizations
INSERT INTO price_lists BY NAME
SELECT position, NULL::VARCHAR AS organization, source, digest, recorded_at AS listed_at,
    "user" AS listed_by, "table" AS content
FROM prices_adopted;

-- listed [prices.listed]: prices of one organization
INSERT INTO price_lists BY NAME
SELECT position, organization, recorded_at AS listed_at, "user" AS listed_by,
    to_json(prices) AS content
FROM prices_listed;

-- applied [prices.applied]: decisions to price steps again
INSERT INTO price_applications BY NAME
SELECT position, since, known_at, recorded_at AS applied_at, "user" AS applied_by
FROM prices_applied;
