-- Every policy that was ever in force; the last one is.
CREATE TABLE policies (
    version INTEGER PRIMARY KEY,
    at BIGINT NOT NULL,
    by TEXT NOT NULL,
    file TEXT NOT NULL,               -- as it was written
    rules TEXT NOT NULL               -- JSON: the same with ids
);

-- The key of what hash masks show; made with the first policy, so that codes stay the same.
CREATE TABLE mask_key (
    key TEXT PRIMARY KEY              -- 32 random bytes, hex
);
