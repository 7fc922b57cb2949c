-- When an idempotency key last went out and whether it may go out again, who said how a dispute ended, and how far
-- Stripe's events were read.

ALTER TABLE refund_intent
    ADD COLUMN key_sent_at timestamptz,
    ADD COLUMN key_spent boolean NOT NULL DEFAULT false;
ALTER TABLE transfer_intent
    ADD COLUMN key_sent_at timestamptz,
    ADD COLUMN key_spent boolean NOT NULL DEFAULT false;
-- A request of the version before may be under way.
UPDATE refund_intent SET key_sent_at = now() WHERE status = 'PENDING' AND key_used_at IS NOT NULL;
UPDATE transfer_intent SET key_sent_at = now() WHERE status = 'PENDING' AND key_used_at IS NOT NULL;

-- The operator who said how it ended, until Stripe says so itself.
ALTER TABLE dispute ADD COLUMN closed_by text;

-- One row. What Stripe told before this was applied is not read again: the original's payments are not ours.
CREATE TABLE stripe_event_poll (
    id boolean PRIMARY KEY DEFAULT true CHECK (id),
    -- Every event until then is stored.
    read_until timestamptz NOT NULL DEFAULT now(),
    -- The end of a reading that goes on, and the last event it has stored; newest first.
    reading_until timestamptz,
    last_event text,
    -- When a replica began to read; another one may go on when it is gone.
    begun_at timestamptz
);
INSERT INTO stripe_event_poll DEFAULT VALUES;
