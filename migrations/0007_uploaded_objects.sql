-- Objects this server put into the bucket, and for whom. An object nobody attached in time is removed by a job.
CREATE TABLE uploaded_object (
    key text PRIMARY KEY,
    user_id uuid NOT NULL REFERENCES "User" ("id") ON UPDATE CASCADE ON DELETE CASCADE,
    url text NOT NULL UNIQUE,
    attached_at timestamptz,
    created_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX uploaded_object_loose ON uploaded_object (created_at) WHERE attached_at IS NULL;
