-- Objects in the bucket that no row of this database knows, and since when without a break. They are removed a week after
-- the first sighting only: a server on the wrong database, or on a restored one, knows nobody's avatar.
CREATE TABLE orphan_sighting (
    key text PRIMARY KEY,
    first_seen_at timestamptz NOT NULL,
    last_seen_at timestamptz NOT NULL
);
CREATE INDEX orphan_sighting_last_seen ON orphan_sighting (last_seen_at);
