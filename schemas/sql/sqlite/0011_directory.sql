-- Workspaces, who is a member of which, and who was asked to become one.
CREATE TABLE workspaces (
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    created_at INTEGER NOT NULL
) STRICT;

-- People and service accounts: person:ADDRESS, service:NAME.
CREATE TABLE people (
    principal TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    time_zone TEXT,
    locale TEXT,
    created_at INTEGER NOT NULL
) STRICT;

CREATE TABLE members (
    workspace TEXT NOT NULL REFERENCES workspaces (id) ON DELETE CASCADE,
    principal TEXT NOT NULL REFERENCES people (principal) ON DELETE CASCADE,
    role TEXT NOT NULL,
    since INTEGER NOT NULL,
    PRIMARY KEY (workspace, principal)
) STRICT;

-- Of a link only its hash is kept.
CREATE TABLE invitations (
    id TEXT PRIMARY KEY,
    hash TEXT NOT NULL UNIQUE,
    workspace TEXT NOT NULL REFERENCES workspaces (id) ON DELETE CASCADE,
    email TEXT NOT NULL,
    role TEXT NOT NULL,
    made_by TEXT NOT NULL,
    made_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    ended_at INTEGER
) STRICT;

-- What is in which workspace: bases that live here by id, logins at Airtable by name. What is not
-- listed is in the first workspace.
CREATE TABLE placements (
    kind TEXT NOT NULL,
    thing TEXT NOT NULL,
    workspace TEXT NOT NULL REFERENCES workspaces (id),
    PRIMARY KEY (kind, thing)
) STRICT;

ALTER TABLE tokens ADD COLUMN owner TEXT;
ALTER TABLE tokens ADD COLUMN workspace TEXT;
ALTER TABLE tokens ADD COLUMN expires_at INTEGER;
