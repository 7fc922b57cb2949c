-- What a retried checkout needs to know, why a payment was set aside, and which payment a booking belongs to.

ALTER TABLE payment_session
    -- Counts the keys used: `checkout:<posting>:<number>`, then `…:2` after a look-up found nothing.
    ADD COLUMN key_number integer NOT NULL DEFAULT 1,
    ADD COLUMN key_used_at timestamptz,
    -- Stripe's code when it refused to make the session.
    ADD COLUMN failure_code text,
    -- Why a payment was not believed; nothing is done with it until an operator has looked.
    ADD COLUMN quarantine text;

ALTER TABLE ledger_entry ADD COLUMN payment_session_id uuid REFERENCES payment_session (id);
CREATE INDEX ledger_entry_session ON ledger_entry (payment_session_id);
CREATE INDEX payment_session_charge ON payment_session (stripe_charge_id);
