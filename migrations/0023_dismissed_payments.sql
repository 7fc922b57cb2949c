-- Payments that an operator put away because their money had gone back, by Stripe's ids, whether a session of ours is
-- recorded or not: what is told of them later is recognised, and the comparison of the books knows them. A row goes when
-- the money is there again.
CREATE TABLE dismissed_payment (
    stripe_payment_intent_id text PRIMARY KEY,
    stripe_session_id text NOT NULL UNIQUE,
    stripe_charge_id text NOT NULL,
    -- In cents of the currency that was paid, which need not be euros.
    amount_total_cents bigint NOT NULL,
    dismissed_by text NOT NULL,
    dismissed_at timestamptz NOT NULL DEFAULT now()
);
