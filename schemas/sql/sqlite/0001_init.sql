-- Times are milliseconds since 1970-01-01T00:00:00Z. JSON is text.

CREATE TABLE bases (
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    tables TEXT NOT NULL              -- the schema: an array of tables as in a base file
);

CREATE TABLE tables (
    key INTEGER PRIMARY KEY,          -- short key of the rows below
    base TEXT NOT NULL REFERENCES bases (id),
    id TEXT NOT NULL,
    next_position BIGINT NOT NULL,
    next_auto BIGINT NOT NULL,
    UNIQUE (base, id)
);

-- The rows are the truth; everything in memory is made from them.
CREATE TABLE rows (
    table_key BIGINT NOT NULL,
    position BIGINT NOT NULL,         -- the table's own order; never used twice
    id TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    cells TEXT NOT NULL,              -- stored cells by field id, blanks left out
    PRIMARY KEY (table_key, position)
) WITHOUT ROWID;

CREATE TABLE comments (
    base TEXT NOT NULL,
    record TEXT NOT NULL,
    position BIGINT NOT NULL,
    body TEXT NOT NULL,
    PRIMARY KEY (base, record, position)
);

-- The change log: one row per commit, in order.
CREATE TABLE changes (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    base TEXT NOT NULL,
    at BIGINT NOT NULL,
    by TEXT NOT NULL,
    kind TEXT NOT NULL,
    tables TEXT NOT NULL
);

CREATE INDEX changes_at ON changes (at);

-- One row per call through the door; no cell values.
CREATE TABLE audit (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    at BIGINT NOT NULL,
    principal TEXT NOT NULL,
    face TEXT NOT NULL,
    action TEXT NOT NULL,
    target TEXT NOT NULL,
    outcome TEXT NOT NULL,
    duration_us BIGINT NOT NULL
);

CREATE INDEX audit_at ON audit (at);

CREATE TABLE tokens (
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    hash TEXT NOT NULL UNIQUE,        -- SHA-256 of the token, hex; the token itself is nowhere
    scopes TEXT NOT NULL,             -- JSON array
    created_at BIGINT NOT NULL,
    revoked_at BIGINT
);
