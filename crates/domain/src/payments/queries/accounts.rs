//! Statements on `payout_account` and the profile's copy of the account's id.

use sqlx::PgConnection;

use crate::ids::{FreelanceId, UserId};

/// Where a freelance is paid to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PayoutAccount {
    pub freelance_id: FreelanceId,
    /// `None` while Stripe has not been heard making it.
    pub stripe_account_id: Option<String>,
    pub idempotency_key: String,
    pub transfers_active: bool,
    pub details_submitted: bool,
}

macro_rules! accounts {
    ($head:literal, $tail:literal $(, $argument:expr)*) => {
        sqlx::query_as!(
            PayoutAccount,
            $head + r#"freelance_id AS "freelance_id: FreelanceId", stripe_account_id, idempotency_key, transfers_active,
                   details_submitted "# + $tail
            $(, $argument)*
        )
    };
}

pub async fn find_account(
    connection: &mut PgConnection,
    freelance: FreelanceId,
) -> Result<Option<PayoutAccount>, sqlx::Error> {
    accounts!("SELECT ", "FROM payout_account WHERE freelance_id = $1", freelance.0).fetch_optional(connection).await
}

pub async fn lock_account(
    connection: &mut PgConnection,
    freelance: FreelanceId,
) -> Result<Option<PayoutAccount>, sqlx::Error> {
    accounts!("SELECT ", "FROM payout_account WHERE freelance_id = $1 FOR UPDATE", freelance.0)
        .fetch_optional(connection)
        .await
}

pub async fn find_account_of_stripe(
    connection: &mut PgConnection,
    stripe_account_id: &str,
) -> Result<Option<PayoutAccount>, sqlx::Error> {
    accounts!("SELECT ", "FROM payout_account WHERE stripe_account_id = $1", stripe_account_id)
        .fetch_optional(connection)
        .await
}

/// The freelance's one account, decided before Stripe is asked to make it.
pub async fn insert_account(
    connection: &mut PgConnection,
    freelance: FreelanceId,
) -> Result<PayoutAccount, sqlx::Error> {
    accounts!(
        r#"INSERT INTO payout_account (freelance_id, idempotency_key) VALUES ($1, 'account:' || $1::uuid::text)
           ON CONFLICT (freelance_id) DO UPDATE SET updated_at = now() RETURNING "#,
        "",
        freelance.0
    )
    .fetch_one(connection)
    .await
}

/// Takes over an account that the original made for the freelance.
pub async fn insert_adopted_account(
    connection: &mut PgConnection,
    freelance: FreelanceId,
    stripe_account_id: &str,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        r#"INSERT INTO payout_account (freelance_id, stripe_account_id, idempotency_key)
           VALUES ($1, $2, 'account:' || $1::uuid::text)
           ON CONFLICT (freelance_id) DO UPDATE SET stripe_account_id = excluded.stripe_account_id, updated_at = now()
           WHERE payout_account.stripe_account_id IS NULL"#,
        freelance.0,
        stripe_account_id,
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// The next attempt uses a new key: the old one is of no use any more and has made no account that is known.
pub async fn update_next_key(
    connection: &mut PgConnection,
    freelance: FreelanceId,
    old_key: &str,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        r#"UPDATE payout_account
           SET idempotency_key = 'account:' || freelance_id::text || ':' || extract(epoch FROM clock_timestamp())::bigint::text,
               updated_at = now()
           WHERE freelance_id = $1 AND idempotency_key = $2 AND stripe_account_id IS NULL"#,
        freelance.0,
        old_key,
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Stores the account's id where it is used and where the profile shows it. The first one stays.
pub async fn update_created(
    connection: &mut PgConnection,
    freelance: FreelanceId,
    stripe_account_id: &str,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        r#"UPDATE payout_account SET stripe_account_id = $2, updated_at = now()
           WHERE freelance_id = $1 AND stripe_account_id IS NULL"#,
        freelance.0,
        stripe_account_id,
    )
    .execute(&mut *connection)
    .await?;
    sqlx::query!(
        r#"UPDATE "Freelance" f SET "stripeAccountId" = a.stripe_account_id, "updatedAt" = (now() AT TIME ZONE 'UTC')
           FROM payout_account a
           WHERE f."id" = $1 AND a.freelance_id = f."id" AND f."stripeAccountId" IS DISTINCT FROM a.stripe_account_id"#,
        freelance.0,
    )
    .execute(connection)
    .await?;
    Ok(())
}

pub async fn update_state(
    connection: &mut PgConnection,
    stripe_account_id: &str,
    transfers_active: bool,
    details_submitted: bool,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        r#"UPDATE payout_account SET transfers_active = $2, details_submitted = $3, updated_at = now()
           WHERE stripe_account_id = $1"#,
        stripe_account_id,
        transfers_active,
        details_submitted,
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// A profile and the account id it carries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Payee {
    pub id: FreelanceId,
    pub user_id: UserId,
    pub name: String,
    pub stripe_account_id: Option<String>,
}

pub async fn find_payee(connection: &mut PgConnection, freelance: FreelanceId) -> Result<Option<Payee>, sqlx::Error> {
    sqlx::query_as!(
        Payee,
        r#"SELECT "id" AS "id: FreelanceId", "userId" AS "user_id: UserId", "firstName" || ' ' || "lastName" AS "name!",
                  "stripeAccountId" AS stripe_account_id
           FROM "Freelance" WHERE "id" = $1"#,
        freelance.0,
    )
    .fetch_optional(connection)
    .await
}

/// As [`find_payee`], by the user; keeps the profile from changing until the transaction ends.
pub async fn lock_payee_of_user(connection: &mut PgConnection, user: UserId) -> Result<Option<Payee>, sqlx::Error> {
    sqlx::query_as!(
        Payee,
        r#"SELECT "id" AS "id: FreelanceId", "userId" AS "user_id: UserId", "firstName" || ' ' || "lastName" AS "name!",
                  "stripeAccountId" AS stripe_account_id
           FROM "Freelance" WHERE "userId" = $1 FOR UPDATE"#,
        user.0,
    )
    .fetch_optional(connection)
    .await
}

pub async fn find_payee_of_account(
    connection: &mut PgConnection,
    stripe_account_id: &str,
) -> Result<Option<FreelanceId>, sqlx::Error> {
    sqlx::query_scalar!(
        r#"SELECT "id" AS "id: FreelanceId" FROM "Freelance" WHERE "stripeAccountId" = $1 LIMIT 1"#,
        stripe_account_id,
    )
    .fetch_optional(connection)
    .await
}
