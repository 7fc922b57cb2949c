//! Registration: an account at Authentik and a user here, completed on the next try when it was interrupted.
//!
//! The steps: check what is taken here, write the attempt, enrol at Authentik (the caller does that), make the user.
//! Killed after the enrolment, the attempt is found again by its address and user name, and by what shows that the same
//! person is back.

use std::time::Duration;

use chrono::{DateTime, Utc};
use sqlx::{PgConnection, PgPool};
use uuid::Uuid;

use super::{
    ProviderIdentity, Refusal, RegistrationProof, Resolution, Role, User,
    identity::{self, bind},
    queries,
};
use crate::{audit::AuditActor, sessions::Token};

/// How long an interrupted registration can be finished.
const LIFETIME: Duration = Duration::from_secs(24 * 3600);

/// Who wants to become a user.
#[derive(Clone, Copy, Debug)]
pub struct Registrant<'a> {
    pub email: &'a str,
    pub username: &'a str,
    pub role: Role,
}

/// An attempt that has begun.
#[derive(Clone, Debug)]
pub struct PendingRegistration {
    pub id: Uuid,
    pub expires_at: DateTime<Utc>,
    /// An earlier attempt with the same address and user name was found, which may have reached Authentik.
    pub resumed: bool,
    /// Of this attempt's maker.
    pub proof: Vec<u8>,
    /// The same maker asked before, perhaps with another role.
    pub repeated: bool,
}

#[derive(Clone, Debug)]
pub enum BeginRegistration {
    Begun(PendingRegistration),
    /// Users here have the address or the user name already.
    Taken {
        email: bool,
        username: bool,
    },
}

/// `password` is the one that the account is to have; who gives it again later finishes with the role asked for here.
pub async fn begin_registration(
    pool: &PgPool,
    registrant: Registrant<'_>,
    password: &str,
) -> Result<BeginRegistration, sqlx::Error> {
    let mut connection = pool.acquire().await?;
    let email = !queries::list_users_by_email(&mut connection, registrant.email).await?.is_empty();
    let username = queries::is_username_taken(&mut connection, registrant.username, None).await?;
    if email || username {
        return Ok(BeginRegistration::Taken { email, username });
    }
    drop(connection);
    let proof = RegistrationProof::Password(password).derive(registrant.email, registrant.username).await;
    let mut connection = pool.acquire().await?;
    let pending = queries::upsert_pending_registration(&mut connection, registrant, &proof, LIFETIME).await?;
    Ok(BeginRegistration::Begun(pending))
}

/// Lets the holder of `browser` finish the attempt too: it goes on at Authentik's own pages.
pub async fn allow_browser(pool: &PgPool, registrant: Registrant<'_>, browser: &Token) -> Result<(), sqlx::Error> {
    let mut connection = pool.acquire().await?;
    queries::upsert_pending_registration(&mut connection, registrant, &browser.hash(), LIFETIME).await?;
    Ok(())
}

/// Authentik refused the attempt, so that nothing is left of it to finish. Earlier ones stay, the same maker's too: that
/// one may have reached Authentik.
pub async fn abandon_registration(pool: &PgPool, pending: &PendingRegistration) -> Result<(), sqlx::Error> {
    let mut connection = pool.acquire().await?;
    if !pending.resumed {
        queries::delete_pending_registration(&mut connection, pending).await?;
    }
    if !pending.repeated {
        queries::delete_registration_attempt(&mut connection, pending).await?;
    }
    Ok(())
}

/// Makes the user of an account that Authentik has just confirmed to be the registrant's.
pub async fn complete_registration(
    pool: &PgPool,
    registrant: Registrant<'_>,
    identity: ProviderIdentity<'_>,
) -> Result<Resolution, sqlx::Error> {
    let mut transaction = pool.begin().await?;
    queries::lock_text(&mut transaction, registrant.email).await?;
    if let Some(resolution) = identity::resolve_bound(&mut transaction, identity).await? {
        return Ok(resolution);
    }
    if let Some(other) = queries::list_users_by_email(&mut transaction, registrant.email).await?.first() {
        return Ok(Resolution::Refused(Refusal::AddressOfAnother(other.id)));
    }
    let Registrant { email, username, role } = registrant;
    let user = create_bound(&mut transaction, email, username, role, identity).await?;
    transaction.commit().await?;
    Ok(Resolution::User(user))
}

/// In the caller's transaction, which holds the lock on the address.
pub(super) async fn create_bound(
    connection: &mut PgConnection,
    email: &str,
    username: &str,
    role: Role,
    identity: ProviderIdentity<'_>,
) -> Result<User, sqlx::Error> {
    let id = queries::insert_user(connection, email, username, role).await?;
    bind(connection, id, identity, "registration", AuditActor::User(id)).await?;
    queries::delete_pending_registrations(connection, email).await?;
    queries::find_user(connection, id).await?.ok_or(sqlx::Error::RowNotFound)
}
