//! Freelances as each audience sees them: a type for each, with the fields it may see.

use freehunt_domain::{
    Timestamp,
    freelances::{FoundFreelance, Freelance, SearchPage},
    ids::{FreelanceId, UserId},
    skills::Skill,
    users::User,
};
use serde::Serialize;

use crate::{number::Number, routes::companies::ProfileOwner};

/// What everybody sees.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct FreelanceFields {
    pub id: FreelanceId,
    pub user_id: UserId,
    #[schema(example = "Alice")]
    pub first_name: String,
    #[schema(example = "Martin")]
    pub last_name: String,
    #[schema(example = "Développeuse Rust")]
    pub job_title: String,
    /// Euros a day.
    pub average_daily_rate: Number,
    /// Years.
    #[schema(example = 5)]
    pub seniority: i32,
    #[schema(example = "Paris")]
    pub location: String,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
    pub skills: Vec<Skill>,
}

impl FreelanceFields {
    fn new(freelance: Freelance, skills: Vec<Skill>) -> Self {
        Self {
            id: freelance.id,
            user_id: freelance.user_id,
            first_name: freelance.first_name,
            last_name: freelance.last_name,
            job_title: freelance.job_title,
            average_daily_rate: Number(freelance.average_daily_rate),
            seniority: freelance.seniority,
            location: freelance.location,
            created_at: freelance.created_at,
            updated_at: freelance.updated_at,
            skills,
        }
    }
}

/// The user to write to.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct FreelanceUser {
    pub id: UserId,
    #[schema(example = "alice")]
    pub username: String,
}

/// For anybody.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct PublicFreelance {
    #[serde(flatten)]
    pub freelance: FreelanceFields,
    pub user: FreelanceUser,
}

impl PublicFreelance {
    pub fn new(freelance: Freelance, username: String, skills: Vec<Skill>) -> Self {
        let user = FreelanceUser { id: freelance.user_id, username };
        Self { freelance: FreelanceFields::new(freelance, skills), user }
    }
}

/// For the owner.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct OwnFreelance {
    #[serde(flatten)]
    pub freelance: FreelanceFields,
    /// The payout account at Stripe, once its onboarding was begun.
    #[schema(example = "acct_1234567890")]
    pub stripe_account_id: Option<String>,
    pub user: ProfileOwner,
}

impl OwnFreelance {
    pub fn new(mut freelance: Freelance, user: User, skills: Vec<Skill>) -> Self {
        let stripe_account_id = freelance.stripe_account_id.take();
        Self { freelance: FreelanceFields::new(freelance, skills), stripe_account_id, user: user.into() }
    }
}

/// A profile with what the asker may see of it.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[serde(untagged)]
pub enum FreelanceView {
    Own(OwnFreelance),
    Public(PublicFreelance),
}

impl FreelanceView {
    pub fn new(freelance: Freelance, user: User, skills: Vec<Skill>, asker: Option<UserId>) -> Self {
        if asker == Some(freelance.user_id) {
            Self::Own(OwnFreelance::new(freelance, user, skills))
        } else {
            Self::Public(PublicFreelance::new(freelance, user.username, skills))
        }
    }
}

/// One page of a search.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct FreelancePage {
    /// Newest first.
    pub data: Vec<PublicFreelance>,
    /// How many there are on all pages; above 25 000 profiles, an estimate where more than some thousands match.
    #[schema(example = 42)]
    pub total: i64,
}

impl From<SearchPage> for FreelancePage {
    fn from(page: SearchPage) -> Self {
        let view = |FoundFreelance { freelance, username, skills }| PublicFreelance::new(freelance, username, skills);
        Self { data: page.found.into_iter().map(view).collect(), total: page.total }
    }
}
