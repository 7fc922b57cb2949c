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

/// A profile that carries an account, for whoever wants to know whose the account is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Carrier {
    pub freelance_id: FreelanceId,
    /// The address of the profile's user.
    pub email: String,
    /// Whether the original's database carried the account in this profile.
    pub is_legacy: bool,
}

/// The profiles that carry the account: one, unless somebody wrote it into another.
pub async fn list_carriers(
    connection: &mut PgConnection,
    stripe_account_id: &str,
) -> Result<Vec<Carrier>, sqlx::Error> {
    sqlx::query_as!(
        Carrier,
        r#"SELECT f."id" AS "freelance_id: FreelanceId", u."email",
                  EXISTS (SELECT FROM legacy_payout_account l
                          WHERE l.freelance_id = f."id" AND l.stripe_account_id = $1) AS "is_legacy!"
           FROM "Freelance" f JOIN "User" u ON u."id" = f."userId" WHERE f."stripeAccountId" = $1"#,
        stripe_account_id,
    )
    .fetch_all(connection)
    .await
}

/// An account that the original's database carried and that is not adopted yet.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct LegacyAccount {
    pub freelance_id: FreelanceId,
    pub stripe_account_id: String,
    /// Profiles that carry the account; more than one is somebody's doing.
    pub carriers: i64,
}

pub async fn list_legacy_accounts(connection: &mut PgConnection) -> Result<Vec<LegacyAccount>, sqlx::Error> {
    sqlx::query_as!(
        LegacyAccount,
        r#"SELECT l.freelance_id AS "freelance_id: FreelanceId", l.stripe_account_id,
                  (SELECT count(*) FROM "Freelance" f WHERE f."stripeAccountId" = l.stripe_account_id) AS "carriers!"
           FROM legacy_payout_account l
           WHERE NOT EXISTS (SELECT FROM payout_account a
                             WHERE a.freelance_id = l.freelance_id AND a.stripe_account_id IS NOT NULL)
           ORDER BY l.freelance_id"#,
    )
    .fetch_all(connection)
    .await
}

/// Notes that the account's form is opened now.
pub async fn update_linked(connection: &mut PgConnection, stripe_account_id: &str) -> Result<(), sqlx::Error> {
    sqlx::query!("UPDATE payout_account SET linked_at = now() WHERE stripe_account_id = $1", stripe_account_id)
        .execute(connection)
        .await?;
    Ok(())
}

/// The profile carries its account.
pub async fn update_shown(connection: &mut PgConnection, stripe_account_id: &str) -> Result<(), sqlx::Error> {
    sqlx::query!(
        r#"UPDATE "Freelance" f SET "stripeAccountId" = $1, "updatedAt" = (now() AT TIME ZONE 'UTC')
           FROM payout_account a
           WHERE a.stripe_account_id = $1 AND f."id" = a.freelance_id AND f."stripeAccountId" IS DISTINCT FROM $1"#,
        stripe_account_id,
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// The profile does not carry its account while the form is unfinished.
pub async fn update_hidden(connection: &mut PgConnection, stripe_account_id: &str) -> Result<(), sqlx::Error> {
    sqlx::query!(
        r#"UPDATE "Freelance" f SET "stripeAccountId" = NULL, "updatedAt" = (now() AT TIME ZONE 'UTC')
           FROM payout_account a
           WHERE a.stripe_account_id = $1 AND NOT a.details_submitted AND f."id" = a.freelance_id
             AND f."stripeAccountId" = $1"#,
        stripe_account_id,
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// As [`update_hidden`], for all whose form was opened more than a day ago; how many.
pub async fn update_old_hidden(connection: &mut PgConnection) -> Result<u64, sqlx::Error> {
    let hidden = sqlx::query!(
        r#"UPDATE "Freelance" f SET "stripeAccountId" = NULL, "updatedAt" = (now() AT TIME ZONE 'UTC')
           FROM payout_account a
           WHERE NOT a.details_submitted AND coalesce(a.linked_at, a.created_at) < now() - interval '1 day'
             AND f."id" = a.freelance_id AND f."stripeAccountId" = a.stripe_account_id"#,
    )
    .execute(connection)
    .await?;
    Ok(hidden.rows_affected())
}
