-- price_lists: the prices that were listed after the table that every ledger begins with.
-- `organization` is NULL for a table that holds for all; otherwise `content` has the prices of this
-- organization, which come before any table. A step is priced by the lists before its position.
-- Events: prices.adopted, prices.listed.
CREATE TABLE price_lists (
    position BIGINT NOT NULL,
    organization VARCHAR,
    source VARCHAR,
    digest VARCHAR,
    listed_at TIMESTAMPTZ NOT NULL,
    listed_by VARCHAR,
    content JSON NOT NULL
);

-- price_applications: decisions to price steps again: those that were recorded before and whose
-- request began at `since` or later, by the lists up to the position `known_at`; by the lists before
-- their own positions if it is NULL.
-- Events: prices.applied.
CREATE TABLE price_applications (
    position BIGINT NOT NULL,
    since TIMESTAMPTZ,
    known_at BIGINT,
    applied_at TIMESTAMPTZ NOT NULL,
    applied_by VARCHAR
);
