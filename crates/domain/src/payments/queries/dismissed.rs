//! Statements on `dismissed_payment`.

use sqlx::PgConnection;

use crate::Cents;

/// A payment that an operator put away.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DismissedPayment {
    pub stripe_payment_intent_id: String,
    pub stripe_session_id: String,
    pub stripe_charge_id: String,
    /// In cents of the currency that was paid.
    pub amount_total: Cents,
    /// The operator.
    pub dismissed_by: String,
}

/// A statement that yields whole rows of `dismissed_payment`: a head, the columns, a tail.
macro_rules! dismissed {
    ($tail:literal $(, $argument:expr)*) => {
        sqlx::query_as!(
            DismissedPayment,
            r#"SELECT stripe_payment_intent_id, stripe_session_id, stripe_charge_id,
                      amount_total_cents AS "amount_total: Cents", dismissed_by FROM dismissed_payment "# + $tail
            $(, $argument)*
        )
    };
}

/// Writes it once, by the payment's id.
pub async fn insert_dismissed(connection: &mut PgConnection, payment: &DismissedPayment) -> Result<(), sqlx::Error> {
    sqlx::query!(
        r#"INSERT INTO dismissed_payment (stripe_payment_intent_id, stripe_session_id, stripe_charge_id,
               amount_total_cents, dismissed_by)
           VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING"#,
        payment.stripe_payment_intent_id,
        payment.stripe_session_id,
        payment.stripe_charge_id,
        payment.amount_total.0,
        payment.dismissed_by,
    )
    .execute(connection)
    .await?;
    Ok(())
}

pub async fn find_dismissed(
    connection: &mut PgConnection,
    payment_intent: &str,
) -> Result<Option<DismissedPayment>, sqlx::Error> {
    dismissed!("WHERE stripe_payment_intent_id = $1", payment_intent).fetch_optional(connection).await
}

/// The payment of that charge.
pub async fn find_dismissed_by_charge(
    connection: &mut PgConnection,
    charge: &str,
) -> Result<Option<DismissedPayment>, sqlx::Error> {
    dismissed!("WHERE stripe_charge_id = $1", charge).fetch_optional(connection).await
}

/// Every one, the oldest first.
pub async fn list_dismissed(connection: &mut PgConnection) -> Result<Vec<DismissedPayment>, sqlx::Error> {
    dismissed!("ORDER BY dismissed_at, stripe_payment_intent_id").fetch_all(connection).await
}

/// `false` when it was gone before.
pub async fn delete_dismissed(connection: &mut PgConnection, payment_intent: &str) -> Result<bool, sqlx::Error> {
    let deleted = sqlx::query!("DELETE FROM dismissed_payment WHERE stripe_payment_intent_id = $1", payment_intent)
        .execute(connection)
        .await?;
    Ok(deleted.rows_affected() == 1)
}
