//! Whose account somebody is in whom Authentik knows: by Authentik's stable id, with the address as a second check.
//!
//! Addresses are not unique at Authentik, so an address alone opens nothing.

use std::net::IpAddr;

use serde_json::json;
use sqlx::{PgConnection, PgPool};

use super::{RegistrationProof, User, queries, register, same_email};
use crate::{
    audit::{self, AuditActor, AuditRecord},
    ids::UserId,
};

/// What Authentik says about somebody.
#[derive(Clone, Copy, Debug)]
pub struct ProviderIdentity<'a> {
    /// Stable for the life of the account (`uid`, and the `sub` of tokens).
    pub uid: &'a str,
    /// Absent or empty when Authentik does not say.
    pub email: Option<&'a str>,
    pub username: Option<&'a str>,
    /// From where somebody came with it, for the audit trail.
    pub client_address: Option<IpAddr>,
}

/// What may happen for an account that is bound to nobody here.
#[derive(Clone, Copy, Debug)]
pub struct IdentityRules<'a> {
    /// Whether a user that is not bound yet is bound to the first who comes with the same address.
    pub trust_on_first_use: bool,
    /// What an interrupted registration may be finished with, if at all.
    pub registration_proof: Option<RegistrationProof<'a>>,
}

/// Why somebody whom Authentik knows gets no session. For the audit trail, never for an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// No user here has this account or this address.
    Unknown,
    /// A user here has the address, but is bound to another account or to none.
    AddressOfAnother(UserId),
    /// The account is bound, but its address at Authentik is not the user's.
    AddressDiffers(UserId),
}

impl Refusal {
    pub fn name(self) -> &'static str {
        match self {
            Self::Unknown => "unknown_account",
            Self::AddressOfAnother(_) => "address_of_another_user",
            Self::AddressDiffers(_) => "address_differs",
        }
    }

    /// The user whom it concerns.
    pub fn user_id(self) -> Option<UserId> {
        match self {
            Self::Unknown => None,
            Self::AddressOfAnother(id) | Self::AddressDiffers(id) => Some(id),
        }
    }
}

#[derive(Clone, Debug)]
pub enum Resolution {
    User(User),
    Refused(Refusal),
}

/// Finds the user, or makes one of an interrupted registration.
pub async fn resolve_identity(
    pool: &PgPool,
    identity: ProviderIdentity<'_>,
    rules: IdentityRules<'_>,
) -> Result<Resolution, sqlx::Error> {
    let mut transaction = pool.begin().await?;
    if let Some(resolution) = resolve_bound(&mut transaction, identity).await? {
        return Ok(resolution);
    }
    let Some(email) = identity.email.filter(|email| !email.is_empty()) else {
        return Ok(Resolution::Refused(Refusal::Unknown));
    };
    queries::lock_text(&mut transaction, email).await?;
    // Somebody else may have finished the same registration while this one waited.
    if let Some(resolution) = resolve_bound(&mut transaction, identity).await? {
        return Ok(resolution);
    }
    let resolution = match queries::list_users_by_email(&mut transaction, email).await?.as_slice() {
        [] => finish_interrupted(&mut transaction, identity, email, rules).await?,
        [user] if rules.trust_on_first_use && !queries::has_identity(&mut transaction, user.id).await? => {
            bind(&mut transaction, user.id, identity, "first_use", AuditActor::System).await?;
            Resolution::User(user.clone())
        }
        [user, ..] => Resolution::Refused(Refusal::AddressOfAnother(user.id)),
    };
    transaction.commit().await?;
    Ok(resolution)
}

/// By Authentik's id alone; `None` when it is bound to nobody.
pub(super) async fn resolve_bound(
    connection: &mut PgConnection,
    identity: ProviderIdentity<'_>,
) -> Result<Option<Resolution>, sqlx::Error> {
    let user = queries::find_user_by_authentik_uid(connection, identity.uid).await?;
    Ok(user.map(|user| {
        // No address at all contradicts nothing; another address does.
        let agrees = identity.email.is_none_or(|email| email.is_empty() || same_email(email, &user.email));
        if agrees { Resolution::User(user) } else { Resolution::Refused(Refusal::AddressDiffers(user.id)) }
    }))
}

async fn finish_interrupted(
    connection: &mut PgConnection,
    identity: ProviderIdentity<'_>,
    email: &str,
    rules: IdentityRules<'_>,
) -> Result<Resolution, sqlx::Error> {
    let unknown = Resolution::Refused(Refusal::Unknown);
    let (Some(proof), Some(username)) = (rules.registration_proof, identity.username) else { return Ok(unknown) };
    if !queries::is_registration_pending(connection, email, username).await? {
        return Ok(unknown);
    }
    let proof = proof.derive(email, username).await;
    match queries::find_attempted_role(connection, email, username, &proof).await? {
        Some(role) => {
            let user = register::create_bound(connection, email, username, role, identity).await?;
            Ok(Resolution::User(user))
        }
        None => Ok(unknown),
    }
}

/// Binds and leaves an audit line, in the caller's transaction.
pub(super) async fn bind(
    connection: &mut PgConnection,
    user_id: UserId,
    identity: ProviderIdentity<'_>,
    bound_by: &str,
    actor: AuditActor,
) -> Result<(), sqlx::Error> {
    queries::insert_identity(connection, user_id, identity.uid, bound_by).await?;
    let record = AuditRecord {
        actor,
        table: "identity",
        action: "bind",
        subject_id: Some(user_id.to_string()),
        client_address: identity.client_address.map(|address| address.to_string()),
        details: Some(json!({ "bound_by": bound_by })),
    };
    audit::record(connection, &record).await
}
