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
