-- Durable jobs and the money ledger. All amounts are integer euro cents. The ledger has no foreign keys to the
-- original's tables: the books outlive the rows they speak of, and never block the original backend.

CREATE TABLE job (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    kind text NOT NULL,
    payload jsonb NOT NULL,
    -- One live job for one effect, e.g. `transfer:<checkpoint>`; free again when the job is done.
    unique_key text,
    state text NOT NULL DEFAULT 'READY' CHECK (state IN ('READY', 'DONE', 'DEAD')),
    attempts integer NOT NULL DEFAULT 0,
    run_at timestamptz NOT NULL DEFAULT now(),
    leased_until timestamptz,
    last_error text,
    created_at timestamptz NOT NULL DEFAULT now(),
    finished_at timestamptz
);
CREATE INDEX job_ready ON job (run_at) WHERE state = 'READY';
CREATE UNIQUE INDEX job_unique_key ON job (unique_key) WHERE state = 'READY' AND unique_key IS NOT NULL;

CREATE TABLE payment_session (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    job_posting_id uuid NOT NULL,
    company_id uuid NOT NULL,
    -- Counts a posting's sessions; part of the idempotency key `checkout:<posting>:<number>`.
    number integer NOT NULL,
    status text NOT NULL CHECK (status IN ('CREATING', 'OPEN', 'PAID', 'EXPIRED', 'REFUND_PENDING', 'REFUNDED', 'DISPUTED')),
    amount_subtotal_cents bigint NOT NULL CHECK (amount_subtotal_cents > 0),
    amount_total_cents bigint,
    currency text NOT NULL DEFAULT 'eur',
    live_mode boolean NOT NULL,
    -- The request is stored because a retry under the same idempotency key must repeat it exactly.
    title text NOT NULL,
    customer_email text NOT NULL,
    success_url text NOT NULL,
    cancel_url text NOT NULL,
    expires_at timestamptz NOT NULL,
    idempotency_key text NOT NULL UNIQUE,
    stripe_session_id text UNIQUE,
    stripe_payment_intent_id text UNIQUE,
    stripe_charge_id text,
    url text,
    paid_at timestamptz,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    UNIQUE (job_posting_id, number)
);
CREATE UNIQUE INDEX payment_session_one_open ON payment_session (job_posting_id) WHERE status IN ('CREATING', 'OPEN');
CREATE INDEX payment_session_status ON payment_session (status, updated_at);

CREATE TABLE transfer_intent (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    checkpoint_id uuid NOT NULL UNIQUE,
    job_posting_id uuid NOT NULL,
    payment_session_id uuid NOT NULL REFERENCES payment_session (id),
    freelance_id uuid NOT NULL,
    -- Snapshot of the account and the charge when the company approved.
    destination text NOT NULL,
    source_transaction text NOT NULL,
    gross_cents bigint NOT NULL CHECK (gross_cents > 0),
    fee_cents bigint NOT NULL CHECK (fee_cents >= 0),
    net_cents bigint NOT NULL CHECK (net_cents > 0),
    status text NOT NULL DEFAULT 'PENDING' CHECK (status IN ('PENDING', 'SUCCEEDED', 'FAILED', 'REVERSED')),
    -- Counts the keys used: `transfer:<checkpoint>`, then `transfer:<checkpoint>:2` after a look-up found nothing.
    key_number integer NOT NULL DEFAULT 1,
    key_used_at timestamptz,
    stripe_transfer_id text UNIQUE,
    failure_code text,
    approved_by uuid NOT NULL,
    approved_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX transfer_intent_posting ON transfer_intent (job_posting_id);

CREATE TABLE refund_intent (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    payment_session_id uuid NOT NULL REFERENCES payment_session (id),
    job_posting_id uuid NOT NULL,
    stripe_payment_intent_id text NOT NULL UNIQUE,
    amount_cents bigint NOT NULL CHECK (amount_cents > 0),
    reason text NOT NULL CHECK (reason IN ('canceled', 'late_payment', 'double_payment', 'project_canceled', 'dashboard')),
    status text NOT NULL DEFAULT 'PENDING' CHECK (status IN ('PENDING', 'SUCCEEDED', 'PENDING_AT_STRIPE', 'FAILED')),
    key_number integer NOT NULL DEFAULT 1,
    key_used_at timestamptz,
    stripe_refund_id text UNIQUE,
    failure_code text,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX refund_intent_posting ON refund_intent (job_posting_id);

CREATE TABLE stripe_event (
    id text PRIMARY KEY,
    type text NOT NULL,
    created_at timestamptz NOT NULL,
    live_mode boolean NOT NULL,
    payload jsonb NOT NULL,
    received_at timestamptz NOT NULL DEFAULT now(),
    processed_at timestamptz,
    -- What processing found: `published`, `ignored`, `quarantined: amount differs`, …
    outcome text
);
CREATE INDEX stripe_event_unprocessed ON stripe_event (received_at) WHERE processed_at IS NULL;

CREATE TABLE dispute (
    stripe_dispute_id text PRIMARY KEY,
    stripe_charge_id text NOT NULL,
    job_posting_id uuid,
    status text NOT NULL,
    amount_cents bigint NOT NULL,
    opened_at timestamptz NOT NULL DEFAULT now(),
    closed_at timestamptz
);
CREATE INDEX dispute_posting ON dispute (job_posting_id) WHERE closed_at IS NULL;

-- What moved, once each: the provider's id makes a second booking impossible. Positive cents came in, negative went out.
CREATE TABLE ledger_entry (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    kind text NOT NULL CHECK (kind IN ('charge', 'transfer', 'transfer_reversal', 'refund', 'dispute')),
    reference text NOT NULL,
    job_posting_id uuid NOT NULL,
    checkpoint_id uuid,
    amount_cents bigint NOT NULL,
    booked_at timestamptz NOT NULL DEFAULT now(),
    UNIQUE (kind, reference)
);
CREATE INDEX ledger_entry_posting ON ledger_entry (job_posting_id);

-- An onboarding account is made once for a freelance; the id is stored at creation in "Freelance"."stripeAccountId".
CREATE TABLE payout_account (
    freelance_id uuid PRIMARY KEY,
    stripe_account_id text UNIQUE,
    idempotency_key text NOT NULL UNIQUE,
    transfers_active boolean NOT NULL DEFAULT false,
    details_submitted boolean NOT NULL DEFAULT false,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now()
);

-- Postings the original published without a recorded payment. Nothing is paid out of them, and accepting a
-- candidate needs an operator's word on the posting.
CREATE TABLE legacy_publication (
    job_posting_id uuid PRIMARY KEY,
    acceptance_allowed_at timestamptz,
    acceptance_allowed_by text,
    recorded_at timestamptz NOT NULL DEFAULT now()
);
INSERT INTO legacy_publication (job_posting_id)
SELECT "id" FROM "JobPosting" WHERE "status" IN ('PUBLISHED', 'PAID');

-- Checkpoints the original settled; their transfers are not in this ledger.
CREATE TABLE legacy_settlement (
    checkpoint_id uuid PRIMARY KEY,
    recorded_at timestamptz NOT NULL DEFAULT now()
);
INSERT INTO legacy_settlement (checkpoint_id)
SELECT "id" FROM "Checkpoint" WHERE "status" = 'DONE';
