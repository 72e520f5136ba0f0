-- Files that attachment cells name. Their bytes lie under files/ in the data directory, by content.

CREATE TABLE attachments (
    id TEXT PRIMARY KEY,
    base TEXT NOT NULL,
    blob TEXT NOT NULL,               -- SHA-256 of the content, hex
    filename TEXT NOT NULL,
    type TEXT NOT NULL,
    size BIGINT NOT NULL,             -- bytes
    width BIGINT,                     -- images: pixels as shown
    height BIGINT,
    created_at BIGINT NOT NULL,
    unused_since BIGINT               -- since when no cell and no comment names it, as last looked
);

CREATE INDEX attachments_base ON attachments (base);
CREATE INDEX attachments_blob ON attachments (blob);
