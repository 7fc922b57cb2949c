-- The transaction that wrote an event. A server that looks for what it missed asks for the transactions that were open when
-- it last looked and for later ones: `created_at` is when a transaction began, which says nothing about its commit.

ALTER TABLE chat_event ADD COLUMN written_by xid8 NOT NULL DEFAULT pg_current_xact_id();
CREATE INDEX chat_event_written_by ON chat_event (written_by);
