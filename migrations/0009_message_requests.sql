-- What a repeated POST /messages with the same Idempotency-Key answers: the message that the first one made.
-- A message that was deleted since takes its key with it.

CREATE TABLE message_request (
    sender_id uuid NOT NULL,
    conversation_id uuid NOT NULL,
    idempotency_key text NOT NULL,
    message_id uuid NOT NULL REFERENCES "Message" ("id") ON UPDATE CASCADE ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (sender_id, conversation_id, idempotency_key)
);
CREATE INDEX message_request_message ON message_request (message_id);
CREATE INDEX message_request_created ON message_request (created_at);

-- What an event tells of a row that is gone: the deleted message, as it was. Goes when the event is purged.
ALTER TABLE chat_event ADD COLUMN payload jsonb;
