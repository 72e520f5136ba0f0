-- Who made a commit: the call, the program and the conversation it came from, and its plan.
ALTER TABLE changes ADD COLUMN action TEXT NOT NULL DEFAULT '';
ALTER TABLE changes ADD COLUMN client TEXT NOT NULL DEFAULT '';
ALTER TABLE changes ADD COLUMN session TEXT NOT NULL DEFAULT '';
ALTER TABLE changes ADD COLUMN call TEXT NOT NULL DEFAULT '';
ALTER TABLE changes ADD COLUMN plan TEXT;
-- The commit that took this one back.
ALTER TABLE changes ADD COLUMN undone_by BIGINT;

CREATE INDEX changes_base ON changes (base, seq);
CREATE INDEX changes_call ON changes (call) WHERE call <> '';
CREATE INDEX changes_session ON changes (session) WHERE session <> '';

-- Which commits touched a record.
CREATE TABLE change_records (
    record TEXT NOT NULL,
    seq BIGINT NOT NULL,
    PRIMARY KEY (record, seq)
) WITHOUT ROWID;

CREATE INDEX change_records_seq ON change_records (seq);

-- Writes that were worked out before they are carried out.
CREATE TABLE plans (
    id TEXT PRIMARY KEY,
    principal TEXT NOT NULL,
    face TEXT NOT NULL,
    client TEXT NOT NULL,
    session TEXT NOT NULL,
    tool TEXT NOT NULL,
    arguments TEXT NOT NULL,          -- JSON, as they were sent
    digest TEXT NOT NULL,             -- SHA-256 of tool and arguments, hex
    base TEXT NOT NULL,
    effect TEXT NOT NULL,             -- JSON: what it does, with what is there before
    status TEXT NOT NULL,             -- open, waiting, approved, rejected, applying, applied, failed
    asks TEXT,                        -- who has to approve: confirm, ask, person
    reasons TEXT NOT NULL,            -- JSON: why
    decided_by TEXT,
    decided_at BIGINT,
    note TEXT,                        -- what whoever decided says about it
    outcome TEXT,                     -- JSON: the answer of the call that carried it out
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL
);

CREATE INDEX plans_digest ON plans (principal, digest);
CREATE INDEX plans_created ON plans (created_at);

-- The audit log becomes a chain: each line's hash covers the one before it.
ALTER TABLE audit ADD COLUMN client TEXT NOT NULL DEFAULT '';
ALTER TABLE audit ADD COLUMN session TEXT NOT NULL DEFAULT '';
ALTER TABLE audit ADD COLUMN call TEXT NOT NULL DEFAULT '';
ALTER TABLE audit ADD COLUMN plan TEXT;
ALTER TABLE audit ADD COLUMN records TEXT NOT NULL DEFAULT '';  -- ids, a blank between them
ALTER TABLE audit ADD COLUMN upstream BIGINT NOT NULL DEFAULT 0; -- requests to Airtable
ALTER TABLE audit ADD COLUMN hash BLOB;                          -- SHA-256; absent in lines from before

-- Where the chain begins and how far it reaches: one row.
CREATE TABLE audit_chain (
    one BIGINT PRIMARY KEY,
    first_seq BIGINT NOT NULL,        -- the first line that is still there
    before BLOB NOT NULL,             -- the hash before it
    last_seq BIGINT NOT NULL,
    last BLOB NOT NULL                -- the hash of the last line
);
