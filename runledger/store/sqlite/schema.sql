-- The whole store on one screen. The column names are those of the eventsourcing library:
-- originator_id is the stream, originator_version the version, notification_id the position.

-- One transaction: another process sees the whole store or nothing of it.
BEGIN IMMEDIATE;

-- AUTOINCREMENT, not a bare rowid: a bare rowid is handed out again after a delete of the last row.
CREATE TABLE IF NOT EXISTS ledger_events (
    notification_id INTEGER PRIMARY KEY AUTOINCREMENT,
    originator_id TEXT NOT NULL,
    originator_version INTEGER NOT NULL,
    topic TEXT NOT NULL,
    state BLOB NOT NULL,
    contents BLOB,
    UNIQUE (originator_id, originator_version)
);

CREATE TABLE IF NOT EXISTS ledger_blobs (
    sha256 TEXT PRIMARY KEY,
    media_type TEXT NOT NULL,
    data BLOB NOT NULL
) WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS ledger_meta (
    key TEXT PRIMARY KEY,
    value TEXT NOT NULL
) WITHOUT ROWID;

-- What 256 events each were when they were kept; see runledger/store/tiles.py.
CREATE TABLE IF NOT EXISTS ledger_tiles (
    tile INTEGER PRIMARY KEY,
    first_position INTEGER NOT NULL UNIQUE,
    last_position INTEGER NOT NULL,
    crc INTEGER NOT NULL,
    leaves BLOB NOT NULL,
    contents BLOB NOT NULL,
    late INTEGER NOT NULL
);

-- Of a store of layout 1, the events that are there already get their tiles late.
INSERT OR IGNORE INTO ledger_meta
SELECT 'tiles_after', coalesce(max(notification_id), 0) FROM ledger_events;
INSERT OR IGNORE INTO ledger_meta VALUES ('schema_version', '2');
UPDATE ledger_meta SET value = '2' WHERE key = 'schema_version' AND value = '1';

-- Spans as they came, and the traces that they belong to; no part of the log.
CREATE TABLE IF NOT EXISTS ledger_spans (
    organization TEXT NOT NULL,
    trace_id TEXT NOT NULL,
    span_id TEXT NOT NULL,
    span BLOB NOT NULL,
    received_at REAL NOT NULL,
    PRIMARY KEY (organization, trace_id, span_id)
);

CREATE TABLE IF NOT EXISTS ledger_traces (
    organization TEXT NOT NULL,
    trace_id TEXT NOT NULL,
    version INTEGER NOT NULL,
    done INTEGER NOT NULL,
    first_at REAL NOT NULL,
    last_at REAL NOT NULL,
    waiting_since REAL NOT NULL,
    not_before REAL NOT NULL DEFAULT 0,
    runs TEXT NOT NULL DEFAULT '[]',
    note TEXT NOT NULL DEFAULT '{}',
    PRIMARY KEY (organization, trace_id)
) WITHOUT ROWID;

CREATE INDEX IF NOT EXISTS ledger_traces_due ON ledger_traces (waiting_since) WHERE version > done;
CREATE INDEX IF NOT EXISTS ledger_traces_last ON ledger_traces (last_at);

-- Traces of whose spans only the keys are still kept: how many, and the last that came by then.
CREATE TABLE IF NOT EXISTS ledger_dropped (
    organization TEXT NOT NULL,
    trace_id TEXT NOT NULL,
    spans INTEGER NOT NULL,
    last_at REAL NOT NULL,
    PRIMARY KEY (organization, trace_id)
) WITHOUT ROWID;

-- Sessions and calls that two sources describe, and the one that told them first.
CREATE TABLE IF NOT EXISTS ledger_calls (
    organization TEXT NOT NULL,
    call TEXT NOT NULL,
    source TEXT NOT NULL,
    PRIMARY KEY (organization, call)
) WITHOUT ROWID;

CREATE TRIGGER IF NOT EXISTS ledger_events_no_update BEFORE UPDATE ON ledger_events
BEGIN
    SELECT RAISE(ABORT, 'the ledger is append-only: an event is never updated');
END;

CREATE TRIGGER IF NOT EXISTS ledger_events_no_delete BEFORE DELETE ON ledger_events
BEGIN
    SELECT RAISE(ABORT, 'the ledger is append-only: an event is never deleted');
END;

-- INSERT OR REPLACE deletes the row in its way without firing the trigger above. ROLLBACK, not ABORT:
-- for a trigger that may undo one statement, SQLite keeps a copy of every page the statement touches.
CREATE TRIGGER IF NOT EXISTS ledger_events_no_replace BEFORE INSERT ON ledger_events
WHEN EXISTS (SELECT 1 FROM ledger_events WHERE notification_id = NEW.notification_id)
    OR EXISTS (
        SELECT 1 FROM ledger_events
        WHERE originator_id = NEW.originator_id AND originator_version = NEW.originator_version
    )
BEGIN
    SELECT RAISE(ROLLBACK, 'the ledger is append-only: an event is never replaced');
END;

COMMIT;
