-- Whether a key went out more than once: only then can an earlier request with it, never answered, still be carried out
-- after a later one was refused. The first sending notes both times within milliseconds; the next comes a back-off later.
ALTER TABLE refund_intent
    ADD COLUMN key_sent_again boolean NOT NULL
        GENERATED ALWAYS AS (coalesce(key_sent_at - key_used_at > interval '500 milliseconds', false)) STORED;
ALTER TABLE transfer_intent
    ADD COLUMN key_sent_again boolean NOT NULL
        GENERATED ALWAYS AS (coalesce(key_sent_at - key_used_at > interval '500 milliseconds', false)) STORED;
