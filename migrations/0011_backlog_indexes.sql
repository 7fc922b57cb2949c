-- What the sweep and the operator's numbers ask every few seconds must not read whole tables.

CREATE INDEX job_dead ON job (unique_key) WHERE state = 'DEAD';
CREATE INDEX job_done ON job (finished_at) WHERE state = 'DONE';
CREATE INDEX transfer_intent_pending ON transfer_intent (updated_at) WHERE status = 'PENDING';
CREATE INDEX refund_intent_pending ON refund_intent (updated_at) WHERE status IN ('PENDING', 'PENDING_AT_STRIPE');
