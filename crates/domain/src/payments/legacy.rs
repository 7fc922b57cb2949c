//! Postings the original published without a recorded payment: they stay published, and whether a candidate may be
//! accepted on one is an operator's word.

use serde_json::json;
use sqlx::{PgConnection, PgPool};

use crate::{
    audit::{self, AuditActor, AuditRecord},
    ids::JobPostingId,
};

/// Whether a payment is on record that was neither refunded nor lost in a dispute (I5).
pub async fn is_paid(connection: &mut PgConnection, posting: JobPostingId) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar!(
        r#"SELECT EXISTS (SELECT FROM payment_session s
                          WHERE s.job_posting_id = $1 AND s.status IN ('PAID', 'DISPUTED')
                            AND NOT EXISTS (SELECT FROM dispute d
                                            WHERE d.stripe_charge_id = s.stripe_charge_id AND d.status = 'lost')) AS "paid!""#,
        posting.0,
    )
    .fetch_one(connection)
    .await
}

/// Whether a candidate may be accepted: the posting is paid, or it is an old one and an operator allowed it.
/// Call with the posting locked.
pub async fn acceptance_allowed(connection: &mut PgConnection, posting: JobPostingId) -> Result<bool, sqlx::Error> {
    if is_paid(connection, posting).await? {
        return Ok(true);
    }
    sqlx::query_scalar!(
        r#"SELECT EXISTS (SELECT FROM legacy_publication
                          WHERE job_posting_id = $1 AND acceptance_allowed_at IS NOT NULL) AS "allowed!""#,
        posting.0,
    )
    .fetch_one(connection)
    .await
}

/// An operator's word on an old posting. `false` when the posting is not one of the original's.
pub async fn allow_acceptance(pool: &PgPool, posting: JobPostingId, operator: &str) -> Result<bool, sqlx::Error> {
    let mut transaction = pool.begin().await?;
    let updated = sqlx::query!(
        r#"UPDATE legacy_publication SET acceptance_allowed_at = now(), acceptance_allowed_by = $2
           WHERE job_posting_id = $1"#,
        posting.0,
        operator,
    )
    .execute(&mut *transaction)
    .await?;
    if updated.rows_affected() == 0 {
        return Ok(false);
    }
    let record = AuditRecord {
        actor: AuditActor::Operator,
        table: "JobPosting",
        action: "allow_legacy_acceptance",
        subject_id: Some(posting.to_string()),
        client_address: None,
        details: Some(json!({ "operator": operator })),
    };
    audit::record(&mut transaction, &record).await?;
    transaction.commit().await?;
    Ok(true)
}
