-- Bases that live in Airtable are held here as copies: whose login reads them, and which tables.
ALTER TABLE bases ADD COLUMN cloud TEXT;      -- JSON; absent for a base that lives here

-- Logins at Airtable.
CREATE TABLE profiles (
    name TEXT PRIMARY KEY,
    info TEXT NOT NULL,               -- JSON: what kind, whose, which scopes; nothing secret
    secret TEXT NOT NULL,             -- sealed tokens; the key is kept elsewhere
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);

-- Requests sent to Airtable with a login, by month (YYYY-MM).
CREATE TABLE upstream_calls (
    profile TEXT NOT NULL,
    month TEXT NOT NULL,
    calls BIGINT NOT NULL,
    PRIMARY KEY (profile, month)
);

-- Until when Airtable refuses everything after a request too many; `what` is a base or a login.
CREATE TABLE upstream_penalties (
    what TEXT PRIMARY KEY,
    until BIGINT NOT NULL
);

-- How far the copy of a base is.
CREATE TABLE replicas (
    base TEXT PRIMARY KEY,
    state TEXT NOT NULL               -- JSON: webhook and cursor, tables and how far each is
);

-- Requests that write to Airtable for a part of a task: noted before they are sent, settled after a
-- crash, gone when the part is done.
CREATE TABLE upstream_writes (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    base TEXT NOT NULL,
    table_id TEXT NOT NULL,
    task TEXT NOT NULL,
    part BIGINT NOT NULL,
    places TEXT NOT NULL,             -- JSON: the places of its records in the write
    sent_at BIGINT NOT NULL,
    outcome TEXT                      -- JSON: what became of each record, once known
);

CREATE INDEX upstream_writes_task ON upstream_writes (task, part);

-- A token that stands for a login sees the bases of that login alone.
ALTER TABLE tokens ADD COLUMN profile TEXT;

-- A file that lies elsewhere and is kept for a while: the id or the address its cell has for it, and
-- when it was last looked at. Both are absent for files a base owns.
ALTER TABLE attachments ADD COLUMN source TEXT;
ALTER TABLE attachments ADD COLUMN used_at BIGINT;

CREATE UNIQUE INDEX attachments_source ON attachments (base, source);
