-- What the messaging servers deliver. A row is written in the transaction of the change it tells of, together with
-- a notification on channel `freehunt_chat` that carries its id; a server that missed one re-reads by id and time.

CREATE TABLE chat_event (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    kind text NOT NULL CHECK (kind IN ('newMessage', 'updateMessage', 'deleteMessage', 'newConversation', 'conversationReady')),
    conversation_id uuid NOT NULL,
    message_id uuid,
    recipients uuid[] NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX chat_event_created ON chat_event (created_at);

-- The one conversation of two people that belongs to no project, whichever of them began it.
CREATE TABLE direct_conversation (
    lower_user_id uuid NOT NULL,
    higher_user_id uuid NOT NULL,
    conversation_id uuid NOT NULL UNIQUE REFERENCES "Conversation" ("id") ON UPDATE CASCADE ON DELETE CASCADE,
    PRIMARY KEY (lower_user_id, higher_user_id),
    CHECK (lower_user_id < higher_user_id)
);

CREATE INDEX message_conversation ON "Message" ("conversationId", "createdAt");
CREATE INDEX conversation_sender ON "Conversation" ("senderId");
CREATE INDEX conversation_receiver ON "Conversation" ("receiverId");
