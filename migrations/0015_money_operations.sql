-- What operating the money needs: when a job was last tried, when a payout account's form was last opened, and which
-- payout accounts the original's database carried.

-- A job that somebody waits for is not tried more often than its pauses allow.
ALTER TABLE job ADD COLUMN attempted_at timestamptz;

-- A form that was opened long ago and never finished is offered again.
ALTER TABLE payout_account ADD COLUMN linked_at timestamptz;

-- Accounts that were not made by these servers, as they stood when this was applied: these servers write the profile's
-- copy and `payout_account` in one transaction, so that a copy without its row is the original's.
CREATE TABLE legacy_payout_account (
    freelance_id uuid PRIMARY KEY,
    stripe_account_id text NOT NULL,
    recorded_at timestamptz NOT NULL DEFAULT now()
);
INSERT INTO legacy_payout_account (freelance_id, stripe_account_id)
SELECT f."id", f."stripeAccountId" FROM "Freelance" f
WHERE f."stripeAccountId" <> ''
  AND NOT EXISTS (SELECT FROM payout_account a WHERE a.stripe_account_id = f."stripeAccountId");

-- Payments that were set aside and have no row of their own.
CREATE INDEX stripe_event_quarantined ON stripe_event (received_at) WHERE outcome LIKE 'quarantined%';
