//! The ledger's invariants as statements: each lists what breaks it, and on a sound database none lists anything.
//!
//! Used by the tests after every fault, and by the operator's comparison of the books. Reads only.

use serde::Serialize;
use sqlx::PgConnection;

/// One broken invariant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct InvariantViolation {
    /// `I2` to `I12`, as the specification numbers them.
    pub invariant: &'static str,
    /// The id of the posting, checkpoint, project or intent concerned.
    pub subject: String,
}

/// Each statement yields the subjects that break the invariant, as text.
const STATEMENTS: &[(&str, &str)] = &[
    // Transfers and refunds of a payment never exceed its charge, as booked, and as decided here: what was taken back of a
    // transfer counts no more.
    (
        "I2",
        "SELECT payment_session_id::text FROM ledger_entry WHERE kind <> 'dispute' AND payment_session_id IS NOT NULL
         GROUP BY payment_session_id HAVING sum(amount_cents) < 0",
    ),
    (
        "I2",
        "SELECT s.id::text FROM payment_session s
         WHERE s.amount_total_cents
             < (SELECT coalesce(-sum(e.amount_cents), 0) FROM ledger_entry e
                WHERE e.payment_session_id = s.id AND e.kind IN ('transfer', 'transfer_reversal'))
             + (SELECT coalesce(sum(t.net_cents), 0) FROM transfer_intent t
                WHERE t.payment_session_id = s.id AND t.status = 'PENDING')
             + (SELECT coalesce(sum(r.amount_cents), 0) FROM refund_intent r
                WHERE r.payment_session_id = s.id AND r.status <> 'FAILED' AND r.reason <> 'dashboard')",
    ),
    // A transfer that went out is booked once, with its amount.
    (
        "I3",
        "SELECT t.id::text FROM transfer_intent t
         WHERE t.status IN ('SUCCEEDED', 'REVERSED')
           AND NOT EXISTS (SELECT FROM ledger_entry e WHERE e.kind = 'transfer' AND e.reference = t.stripe_transfer_id
                           AND e.amount_cents = -t.net_cents AND e.checkpoint_id = t.checkpoint_id)",
    ),
    (
        "I3",
        "SELECT checkpoint_id::text FROM ledger_entry WHERE kind = 'transfer' GROUP BY checkpoint_id HAVING count(*) > 1",
    ),
    // A refund that was made is booked, and gives back what was neither transferred nor refunded otherwise.
    (
        "I4",
        "SELECT r.id::text FROM refund_intent r
         WHERE r.status IN ('SUCCEEDED', 'PENDING_AT_STRIPE')
           AND NOT EXISTS (SELECT FROM ledger_entry e WHERE e.kind = 'refund' AND e.reference = r.stripe_refund_id)",
    ),
    // What is taken back of a transfer afterwards is an operator's to decide on.
    (
        "I4",
        "SELECT r.id::text FROM refund_intent r
         CROSS JOIN LATERAL (SELECT coalesce(sum(e.amount_cents), 0) AS cents,
                                    coalesce(sum(e.amount_cents) FILTER (WHERE e.kind = 'transfer_reversal'), 0) AS taken_back
                             FROM ledger_entry e
                             WHERE e.payment_session_id = r.payment_session_id
                               AND NOT (e.kind = 'dispute'
                                        AND EXISTS (SELECT FROM dispute d
                                                    WHERE d.stripe_dispute_id = split_part(e.reference, ':', 1)
                                                      AND d.closed_at IS NULL))) remaining
         WHERE r.status = 'SUCCEEDED' AND remaining.cents > remaining.taken_back",
    ),
    // A published posting has a payment on record, or is one of the original's.
    (
        "I5",
        r#"SELECT p."id"::text FROM "JobPosting" p
           WHERE p."status" = 'PUBLISHED'
             AND NOT EXISTS (SELECT FROM payment_session s WHERE s.job_posting_id = p."id" AND s.status IN ('PAID', 'DISPUTED'))
             AND NOT EXISTS (SELECT FROM legacy_publication l WHERE l.job_posting_id = p."id")
             AND NOT EXISTS (SELECT FROM refund_intent r WHERE r.job_posting_id = p."id" AND r.reason IN ('dashboard', 'project_canceled'))"#,
    ),
    // One accepted candidate at most; a project exists exactly for it, with the same freelance.
    (
        "I6",
        r#"SELECT "jobPostingId"::text FROM "Candidate" WHERE "status" = 'ACCEPTED' GROUP BY "jobPostingId" HAVING count(*) > 1"#,
    ),
    (
        "I6",
        r#"SELECT k."id"::text FROM "Candidate" k
           WHERE k."status" = 'ACCEPTED'
             AND NOT EXISTS (SELECT FROM "Project" r WHERE r."jobPostingId" = k."jobPostingId" AND r."freelanceId" = k."freelanceId")"#,
    ),
    (
        "I6",
        r#"SELECT r."id"::text FROM "Project" r
           WHERE NOT EXISTS (SELECT FROM "Candidate" k
                             WHERE k."jobPostingId" = r."jobPostingId" AND k."status" = 'ACCEPTED' AND k."freelanceId" = r."freelanceId")"#,
    ),
    (
        "I7",
        r#"SELECT "jobPostingId"::text FROM "Candidate" GROUP BY "jobPostingId", "freelanceId" HAVING count(*) > 1"#,
    ),
    // Done means paid out, or settled by the original.
    (
        "I8",
        r#"SELECT c."id"::text FROM "Checkpoint" c
           WHERE (c."status" = 'DONE') <> (
               EXISTS (SELECT FROM transfer_intent t WHERE t.checkpoint_id = c."id" AND t.status IN ('SUCCEEDED', 'REVERSED'))
               OR EXISTS (SELECT FROM legacy_settlement l WHERE l.checkpoint_id = c."id"))"#,
    ),
    // Completed means that nothing is left to do; projects of the original's may have been left open.
    (
        "I9",
        r#"SELECT r."id"::text FROM "Project" r
           WHERE r."status" = 'COMPLETED'
             AND EXISTS (SELECT FROM "Checkpoint" c WHERE c."jobPostingId" = r."jobPostingId" AND c."status" NOT IN ('DONE', 'CANCELED'))"#,
    ),
    (
        "I9",
        r#"SELECT r."id"::text FROM "Project" r
           WHERE r."status" = 'IN_PROGRESS'
             AND EXISTS (SELECT FROM transfer_intent t WHERE t.job_posting_id = r."jobPostingId")
             AND NOT EXISTS (SELECT FROM "Checkpoint" c WHERE c."jobPostingId" = r."jobPostingId" AND c."status" NOT IN ('DONE', 'CANCELED'))"#,
    ),
    // What was asked for is what the posting and its checkpoints say.
    (
        "I10",
        r#"SELECT p."id"::text FROM "JobPosting" p JOIN payment_session s ON s.job_posting_id = p."id"
           WHERE s.status IN ('OPEN', 'PAID')
             AND (round(coalesce(p."totalAmount", 0)::numeric * 100) <> s.amount_subtotal_cents OR p."companyId" <> s.company_id
                  OR (SELECT coalesce(sum(round(c."amount"::numeric * 100)), 0) FROM "Checkpoint" c
                      WHERE c."jobPostingId" = p."id") > s.amount_subtotal_cents)"#,
    ),
    // Money goes to the account that was made for the freelance of the project.
    (
        "I11",
        r#"SELECT t.id::text FROM transfer_intent t
           WHERE NOT EXISTS (SELECT FROM payout_account a WHERE a.freelance_id = t.freelance_id AND a.stripe_account_id = t.destination)"#,
    ),
    // A canceled posting has no accepted candidate, and what was paid for it goes back, or was taken back by the bank.
    (
        "I12",
        r#"SELECT p."id"::text FROM "JobPosting" p
           WHERE p."status" = 'CANCELED' AND EXISTS (SELECT FROM "Candidate" k WHERE k."jobPostingId" = p."id" AND k."status" = 'ACCEPTED')"#,
    ),
    (
        "I12",
        r#"SELECT s.id::text FROM payment_session s JOIN "JobPosting" p ON p."id" = s.job_posting_id
           WHERE p."status" = 'CANCELED' AND s.paid_at IS NOT NULL
             AND NOT EXISTS (SELECT FROM refund_intent r
                             WHERE r.payment_session_id = s.id AND r.failure_code IS DISTINCT FROM 'came_back')
             AND (SELECT coalesce(sum(e.amount_cents), 0) FROM ledger_entry e
                  WHERE e.payment_session_id = s.id
                    AND NOT (e.kind = 'dispute'
                             AND EXISTS (SELECT FROM dispute d
                                         WHERE d.stripe_dispute_id = split_part(e.reference, ':', 1)
                                           AND d.closed_at IS NULL))) > 0"#,
    ),
];

/// Everything that breaks I2 to I12 at this instant. I1 and I13 are about what happened, not about what is.
pub async fn check_invariants(connection: &mut PgConnection) -> Result<Vec<InvariantViolation>, sqlx::Error> {
    let mut violations = Vec::new();
    for (invariant, statement) in STATEMENTS {
        let subjects: Vec<String> = sqlx::query_scalar(*statement).fetch_all(&mut *connection).await?;
        violations.extend(subjects.into_iter().map(|subject| InvariantViolation { invariant, subject }));
    }
    Ok(violations)
}
