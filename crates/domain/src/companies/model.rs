use crate::{
    Timestamp,
    ids::{CompanyId, UserId},
};

/// A row of "Company".
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Company {
    pub id: CompanyId,
    /// The owner; a user owns one company at most.
    pub user_id: UserId,
    pub name: String,
    pub description: String,
    pub address: String,
    /// The number in the French register of companies: nine digits (rows of the original may have more).
    pub siren: String,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

/// A company to add.
#[derive(Clone, Debug)]
pub struct NewCompany {
    pub name: String,
    pub description: String,
    pub address: String,
    pub siren: String,
}

/// What changes about a company; `None` stays as it is.
#[derive(Clone, Debug, Default)]
pub struct CompanyChanges {
    pub name: Option<String>,
    pub description: Option<String>,
    pub address: Option<String>,
    pub siren: Option<String>,
}
