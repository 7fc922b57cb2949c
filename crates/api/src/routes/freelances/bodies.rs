//! What clients send about freelances.

use freehunt_domain::{
    freelances::{FreelanceChanges, FreelanceSearch, NewFreelance},
    ids::UserId,
};
use serde::Deserialize;
use uuid::Uuid;

use crate::extract::{Field, Rule, Validate};

const PERSON_NAME: &[Rule] = &[Rule::Length(2, 25), Rule::IsString];
const SHORT_TEXT: &[Rule] = &[Rule::IsString, Rule::Limit(200)];
/// Euros a day; the upper limit is far above any real rate.
const DAILY_RATE: &[Rule] = &[Rule::IsPositive, Rule::Max(1_000_000.0)];
/// Years; the client sends 0 for beginners.
const SENIORITY: &[Rule] = &[Rule::IsPositiveOrZero, Rule::IsInteger];
const SKILL_IDS: &[Rule] = &[Rule::EachUuid, Rule::IsArray, Rule::MaxItems(100)];

/// A profile to make.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct CreateFreelance {
    #[schema(example = "Alice", min_length = 2, max_length = 25)]
    first_name: String,
    #[schema(example = "Martin", min_length = 2, max_length = 25)]
    last_name: String,
    #[schema(example = "Développeuse Rust", max_length = 200)]
    job_title: String,
    /// Euros a day, more than 0.
    #[schema(example = 450.5)]
    average_daily_rate: f64,
    /// Whole years.
    #[schema(example = 5, minimum = 0)]
    seniority: i32,
    #[schema(example = "Paris", max_length = 200)]
    location: String,
    /// At most 100 skills that exist.
    #[serde(default)]
    skill_ids: Vec<Uuid>,
    /// The session's own user.
    pub user_id: UserId,
    /// Accepted and ignored.
    #[expect(dead_code, reason = "only documented; the table of fields takes it out of the body")]
    #[schema(value_type = Option<Vec<Uuid>>)]
    document_ids: Option<serde::de::IgnoredAny>,
}

impl Validate for CreateFreelance {
    const FIELDS: &'static [Field] = &[
        Field::required("firstName", PERSON_NAME),
        Field::required("lastName", PERSON_NAME),
        Field::required("jobTitle", SHORT_TEXT),
        Field::required("averageDailyRate", DAILY_RATE),
        Field::required("seniority", SENIORITY),
        Field::required("location", SHORT_TEXT),
        Field::optional("skillIds", SKILL_IDS),
        Field::required("userId", &[Rule::IsUuid]),
        Field::ignored("documentIds"),
    ];
}

impl From<CreateFreelance> for NewFreelance {
    fn from(body: CreateFreelance) -> Self {
        Self {
            first_name: body.first_name,
            last_name: body.last_name,
            job_title: body.job_title,
            average_daily_rate: body.average_daily_rate,
            seniority: body.seniority,
            location: body.location,
            skill_ids: body.skill_ids,
        }
    }
}

/// What to change about a profile; what is absent stays.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct UpdateFreelance {
    #[schema(example = "Alice", min_length = 2, max_length = 25)]
    first_name: Option<String>,
    #[schema(example = "Martin", min_length = 2, max_length = 25)]
    last_name: Option<String>,
    #[schema(example = "Développeuse Rust", max_length = 200)]
    job_title: Option<String>,
    /// Euros a day, more than 0.
    #[schema(example = 450.5)]
    average_daily_rate: Option<f64>,
    /// Whole years.
    #[schema(example = 5, minimum = 0)]
    seniority: Option<i32>,
    #[schema(example = "Paris", max_length = 200)]
    location: Option<String>,
    /// All skills from now on, at most 100 that exist.
    skill_ids: Option<Vec<Uuid>>,
    /// As it was read, or absent; it changes by the onboarding at Stripe alone.
    #[schema(example = "acct_1234567890")]
    stripe_account_id: Option<String>,
}

impl Validate for UpdateFreelance {
    const FIELDS: &'static [Field] = &[
        Field::not_null("firstName", PERSON_NAME),
        Field::not_null("lastName", PERSON_NAME),
        Field::not_null("jobTitle", SHORT_TEXT),
        Field::not_null("averageDailyRate", DAILY_RATE),
        Field::not_null("seniority", SENIORITY),
        Field::not_null("location", SHORT_TEXT),
        Field::optional("skillIds", SKILL_IDS),
        Field::optional("stripeAccountId", &[Rule::IsString]),
    ];
}

impl From<UpdateFreelance> for FreelanceChanges {
    fn from(body: UpdateFreelance) -> Self {
        Self {
            first_name: body.first_name,
            last_name: body.last_name,
            job_title: body.job_title,
            average_daily_rate: body.average_daily_rate,
            seniority: body.seniority,
            location: body.location,
            skill_ids: body.skill_ids,
            stripe_account_id: body.stripe_account_id,
        }
    }
}

/// What to search for; every condition may be absent.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct SearchFreelances {
    /// Part of a name, the job title, the place or a skill's name.
    #[schema(example = "Paris")]
    query: Option<String>,
    #[schema(example = "Développeuse")]
    job_title: Option<String>,
    /// Names of skills, one of which is enough; at most 100.
    #[schema(example = json!(["JavaScript", "Rust"]))]
    skill_names: Option<Vec<String>>,
    #[schema(example = 400)]
    min_daily_rate: Option<f64>,
    #[schema(example = 800)]
    max_daily_rate: Option<f64>,
    #[schema(example = 2)]
    min_seniority: Option<f64>,
    #[schema(example = 10)]
    max_seniority: Option<f64>,
    /// How many to leave out.
    #[schema(example = 0, minimum = 0, default = 0)]
    skip: Option<i32>,
    /// How many to answer.
    #[schema(example = 10, minimum = 1, maximum = 100, default = 10)]
    take: Option<i32>,
}

const FROM_ZERO: &[Rule] = &[Rule::Min(0.0), Rule::IsNumber];

impl Validate for SearchFreelances {
    const FIELDS: &'static [Field] = &[
        Field::optional("query", &[Rule::IsString]),
        Field::optional("jobTitle", &[Rule::IsString]),
        Field::optional("skillNames", &[Rule::IsArray, Rule::OnlyStrings, Rule::MaxItems(100)]),
        Field::optional("minDailyRate", FROM_ZERO),
        Field::optional("maxDailyRate", FROM_ZERO),
        Field::optional("minSeniority", FROM_ZERO),
        Field::optional("maxSeniority", FROM_ZERO),
        Field::optional("skip", &[Rule::Min(0.0), Rule::IsNumber, Rule::IsInteger]),
        Field::optional("take", &[Rule::Min(1.0), Rule::IsNumber, Rule::IsInteger, Rule::Max(100.0)]),
    ];
}

impl From<SearchFreelances> for FreelanceSearch {
    fn from(body: SearchFreelances) -> Self {
        Self {
            query: body.query,
            job_title: body.job_title,
            skill_names: body.skill_names,
            min_daily_rate: body.min_daily_rate,
            max_daily_rate: body.max_daily_rate,
            min_seniority: body.min_seniority,
            max_seniority: body.max_seniority,
            skip: body.skip.map_or(0, i64::from),
            take: body.take.map_or(10, i64::from),
        }
    }
}
