//! What clients send about companies.

use freehunt_domain::{
    companies::{CompanyChanges, NewCompany},
    ids::UserId,
};
use serde::Deserialize;

use crate::extract::{Field, Rule, Validate};

const FIELDS: [Field; 5] = [
    Field::required("name", &[Rule::IsString, Rule::Limit(200)]),
    Field::required("description", &[Rule::IsString, Rule::Limit(20_000)]),
    Field::required("address", &[Rule::IsString, Rule::Limit(200)]),
    Field::required("siren", &[Rule::IsSiren, Rule::IsString]),
    Field::required("userId", &[Rule::IsUuid]),
];

/// A company to make.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct CreateCompany {
    #[schema(example = "Tech Innovations Inc.", max_length = 200)]
    name: String,
    #[schema(example = "A leading tech company specializing in innovative solutions.", max_length = 20000)]
    description: String,
    #[schema(example = "1 rue de la Paix, Paris", max_length = 200)]
    address: String,
    /// Exactly nine digits.
    #[schema(example = "123456789", pattern = "^[0-9]{9}$")]
    siren: String,
    /// The session's own user.
    pub user_id: UserId,
}

impl Validate for CreateCompany {
    const FIELDS: &'static [Field] = &FIELDS;
}

impl From<CreateCompany> for NewCompany {
    fn from(body: CreateCompany) -> Self {
        Self { name: body.name, description: body.description, address: body.address, siren: body.siren }
    }
}

/// What to change about a company; what is absent stays.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct UpdateCompany {
    #[schema(example = "Tech Innovations Inc.", max_length = 200)]
    name: Option<String>,
    #[schema(example = "A leading tech company specializing in innovative solutions.", max_length = 20000)]
    description: Option<String>,
    #[schema(example = "1 rue de la Paix, Paris", max_length = 200)]
    address: Option<String>,
    /// Exactly nine digits.
    #[schema(example = "123456789", pattern = "^[0-9]{9}$")]
    siren: Option<String>,
    /// The session's own user, when given.
    pub user_id: Option<UserId>,
}

impl Validate for UpdateCompany {
    const FIELDS: &'static [Field] = &Field::partial(FIELDS);
}

impl From<UpdateCompany> for CompanyChanges {
    fn from(body: UpdateCompany) -> Self {
        Self { name: body.name, description: body.description, address: body.address, siren: body.siren }
    }
}
