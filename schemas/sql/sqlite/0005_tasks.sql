-- Long calls that outlive the conversation they came from.
CREATE TABLE tasks (
    id TEXT PRIMARY KEY,              -- unguessable
    principal TEXT NOT NULL,
    rights TEXT NOT NULL,             -- JSON: what its caller could do
    tool TEXT NOT NULL,
    status TEXT NOT NULL,             -- working, completed, failed, cancelled
    message TEXT NOT NULL,
    input TEXT NOT NULL,              -- JSON: what is to be done, ready to be carried out
    result TEXT,                      -- JSON: the answer of the call
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);

CREATE INDEX tasks_at ON tasks (created_at);

-- One row for each part that is done, written with the commit of that part.
CREATE TABLE task_parts (
    task TEXT NOT NULL,
    part BIGINT NOT NULL,             -- from 0
    outcome TEXT NOT NULL,            -- JSON
    PRIMARY KEY (task, part)
);
