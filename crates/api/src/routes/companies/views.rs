//! Companies as each audience sees them: a type for each, with the fields it may see.

use freehunt_domain::{
    Timestamp,
    companies::Company,
    ids::{CompanyId, UserId},
    users::{Role, User},
};
use serde::Serialize;

use super::access::VisibleCompany;

/// The owner of a profile, as the owner sees it.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ProfileOwner {
    pub id: UserId,
    #[schema(example = "acme@example.org")]
    pub email: String,
    #[schema(example = "acme")]
    pub username: String,
    pub role: Role,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

impl From<User> for ProfileOwner {
    fn from(user: User) -> Self {
        Self {
            id: user.id,
            email: user.email,
            username: user.username,
            role: user.role,
            created_at: user.created_at,
            updated_at: user.updated_at,
        }
    }
}

/// What everybody sees who sees the company at all.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct CompanyFields {
    pub id: CompanyId,
    #[schema(example = "Acme")]
    pub name: String,
    pub description: String,
    #[schema(example = "1 rue de la Paix, Paris")]
    pub address: String,
    #[schema(example = "123456789")]
    pub siren: String,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

/// The user to write to.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct CompanyUserId {
    pub id: UserId,
}

/// The user to write to, and their address.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct CompanyContact {
    pub id: UserId,
    #[schema(example = "acme@example.org")]
    pub email: String,
}

/// For anybody.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct PublicCompany {
    #[serde(flatten)]
    pub company: CompanyFields,
    pub user: CompanyUserId,
}

/// For any session, of a company with a published posting.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct ContactableCompany {
    #[serde(flatten)]
    pub company: CompanyFields,
    pub user: CompanyContact,
}

/// For the owner.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct OwnCompany {
    #[serde(flatten)]
    pub company: CompanyFields,
    pub user_id: UserId,
    pub user: ProfileOwner,
}

impl OwnCompany {
    pub fn new(company: Company, user: User) -> Self {
        Self { user_id: company.user_id, company: company.into(), user: user.into() }
    }
}

impl From<Company> for CompanyFields {
    fn from(company: Company) -> Self {
        Self {
            id: company.id,
            name: company.name,
            description: company.description,
            address: company.address,
            siren: company.siren,
            created_at: company.created_at,
            updated_at: company.updated_at,
        }
    }
}

/// A company with what the asker may see of it.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[serde(untagged)]
pub enum CompanyView {
    Own(OwnCompany),
    Contactable(ContactableCompany),
    Public(PublicCompany),
}

impl CompanyView {
    pub fn new(visible: VisibleCompany, user: User) -> Self {
        let VisibleCompany { company, facts, session } = visible;
        match session {
            Some(session) if session.user_id == facts.owner => Self::Own(OwnCompany::new(company, user)),
            Some(_) if facts.has_published_posting => Self::Contactable(ContactableCompany {
                company: company.into(),
                user: CompanyContact { id: user.id, email: user.email },
            }),
            _ => Self::Public(PublicCompany { company: company.into(), user: CompanyUserId { id: user.id } }),
        }
    }
}
