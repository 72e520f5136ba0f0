-- The login at Airtable that is a member's own: what is done for them there is done with it.
CREATE TABLE member_logins (
    principal TEXT PRIMARY KEY,
    login TEXT NOT NULL
) STRICT;
