-- The face a commit came through: mcp, rest, cli; empty when that is not known.
ALTER TABLE changes ADD COLUMN face TEXT NOT NULL DEFAULT '';

-- Programs that want to hear of changes of a base.
CREATE TABLE webhooks (
    id TEXT PRIMARY KEY,
    base TEXT NOT NULL,
    owner TEXT NOT NULL,              -- the principal who made it
    specification TEXT NOT NULL,      -- JSON, as it was sent
    url TEXT,                         -- where pings go
    secret TEXT NOT NULL,             -- base64 of the key that signs pings; it is nowhere else
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    since BIGINT NOT NULL,            -- the newest commit when it was made; it hears of later ones
    valid BIGINT NOT NULL,            -- 0 once its specification names something that is gone
    notify BIGINT NOT NULL,           -- 0 when pings are switched off
    next_cursor BIGINT NOT NULL,      -- the number of the next payload; it never goes back
    told_cursor BIGINT NOT NULL,      -- next_cursor when a ping last arrived; one is owed while they differ
    retries BIGINT NOT NULL,          -- pings that failed since
    due_at BIGINT NOT NULL,           -- when the next ping may go out
    told_at BIGINT,                   -- when a ping last arrived
    result TEXT                       -- JSON: how the last ping went
);

CREATE INDEX webhooks_base ON webhooks (base);

-- What webhooks have to say, until somebody reads it or a week has passed.
CREATE TABLE webhook_payloads (
    webhook TEXT NOT NULL,
    cursor BIGINT NOT NULL,
    at BIGINT NOT NULL,
    body TEXT NOT NULL,
    PRIMARY KEY (webhook, cursor)
);

CREATE INDEX webhook_payloads_at ON webhook_payloads (at);

-- Commits of a base that its webhooks were shown.
CREATE TABLE webhook_bases (
    base TEXT PRIMARY KEY,
    transactions BIGINT NOT NULL
);

-- How far the change log was turned into payloads: one row.
CREATE TABLE webhook_progress (
    one BIGINT PRIMARY KEY,
    position BIGINT NOT NULL
);

INSERT INTO webhook_progress (one, position) VALUES (1, 0);
