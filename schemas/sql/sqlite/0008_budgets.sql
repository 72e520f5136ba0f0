-- What a call wrote, for budgets: records created or changed, and records deleted.
ALTER TABLE audit ADD COLUMN written BIGINT NOT NULL DEFAULT 0;
ALTER TABLE audit ADD COLUMN deleted BIGINT NOT NULL DEFAULT 0;

-- What a change of the schema took with it, so that it can be taken back.
ALTER TABLE changes ADD COLUMN lost TEXT;           -- JSON: rows as they were, and with what is left of them
ALTER TABLE changes ADD COLUMN schema_before TEXT;  -- JSON: the whole schema as it was

-- Passkeys with which people approve plans on the console.
CREATE TABLE passkeys (
    id BLOB PRIMARY KEY,              -- the credential's id
    name TEXT NOT NULL,               -- what its owner calls it
    owner BLOB NOT NULL,              -- the user handle it was made for
    fixed BLOB NOT NULL,              -- its public key and what never changes
    moving BLOB NOT NULL,             -- its counter and flags
    created_at BIGINT NOT NULL,
    used_at BIGINT
);
