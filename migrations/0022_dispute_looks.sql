-- When Stripe was asked how a dispute stands: of two of its own words the later one is believed, whatever order they are
-- entered in. Absent for what only an event or an operator has said.
ALTER TABLE dispute ADD COLUMN looked_at timestamptz;
