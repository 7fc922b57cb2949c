//! What clients send about postings, and the limits that the original had no text for.

use freehunt_domain::{
    Cents,
    ids::CompanyId,
    job_postings::{JobPostingChanges, JobPostingLocation, NewJobPosting, search::JobPostingSearch},
};
use serde::{Deserialize, Deserializer, de::Error};
use uuid::Uuid;

use crate::extract::{Field, Rule, Validate};

/// Skills a posting or a search may name.
const SKILLS: usize = 50;

const SKILL_IDS: &[Rule] = &[Rule::EachUuid, Rule::IsArray, Rule::MaxItems(SKILLS)];
const AT_LEAST_ZERO: &[Rule] = &[Rule::Min(0.0), Rule::IsNumber];
const LOCATION: &[Rule] = &[Rule::IsEnum(JobPostingLocation::NAMES)];

/// A posting to draft.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct CreateJobPosting {
    /// At most 200 characters.
    #[serde(deserialize_with = "title")]
    #[schema(example = "SEO Optimization Specialist", max_length = 200)]
    title: String,
    /// At most 20 000 characters.
    #[serde(deserialize_with = "description")]
    #[schema(example = "We are looking for a specialist to improve our rankings.", max_length = 20_000)]
    description: String,
    location: JobPostingLocation,
    is_promoted: bool,
    /// In euros, at most two decimals.
    #[serde(deserialize_with = "daily_rate")]
    #[schema(value_type = f64, example = 500)]
    average_daily_rate: Cents,
    /// In whole years.
    #[serde(deserialize_with = "seniority")]
    #[schema(example = 5)]
    seniority: i32,
    /// The session's own company.
    pub company_id: CompanyId,
    #[serde(default)]
    #[schema(max_items = 50)]
    skill_ids: Vec<Uuid>,
    /// In euros, at most two decimals.
    #[serde(default, rename = "totalAmount")]
    #[schema(value_type = Option<f64>, example = 5000)]
    total_amount_cents: Option<i64>,
}

impl Validate for CreateJobPosting {
    const FIELDS: &'static [Field] = &[
        Field::required("title", &[Rule::IsString]),
        Field::required("description", &[Rule::IsString]),
        Field::required("location", LOCATION),
        Field::required("isPromoted", &[Rule::IsBoolean]),
        Field::required("averageDailyRate", AT_LEAST_ZERO),
        Field::required("seniority", AT_LEAST_ZERO),
        Field::required("companyId", &[Rule::IsUuid]),
        Field::optional("skillIds", SKILL_IDS),
        Field::ignored("checkpointIds"),
        Field::optional("totalAmount", &[Rule::Min(0.0), Rule::IsMoney]),
    ];
}

impl CreateJobPosting {
    pub fn into_posting(self) -> NewJobPosting {
        NewJobPosting {
            company_id: self.company_id,
            title: self.title,
            description: self.description,
            location: self.location,
            is_promoted: self.is_promoted,
            average_daily_rate: self.average_daily_rate,
            seniority: self.seniority,
            total_amount: self.total_amount_cents.map(Cents),
            skill_ids: self.skill_ids,
        }
    }
}

/// What to change of a posting; what is absent stays.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct UpdateJobPosting {
    #[serde(default, deserialize_with = "optional_title")]
    #[schema(example = "SEO Optimization Specialist", max_length = 200)]
    title: Option<String>,
    #[serde(default, deserialize_with = "optional_description")]
    #[schema(max_length = 20_000)]
    description: Option<String>,
    location: Option<JobPostingLocation>,
    is_promoted: Option<bool>,
    /// Frozen once the payment has begun.
    #[serde(default, deserialize_with = "optional_daily_rate")]
    #[schema(value_type = Option<f64>, example = 500)]
    average_daily_rate: Option<Cents>,
    #[serde(default, deserialize_with = "optional_seniority")]
    #[schema(example = 5)]
    seniority: Option<i32>,
    /// The session's own company; a posting never changes hands.
    pub company_id: Option<CompanyId>,
    /// Replaces the skills.
    #[schema(max_items = 50)]
    skill_ids: Option<Vec<Uuid>>,
    /// Frozen once the payment has begun.
    #[serde(rename = "totalAmount")]
    #[schema(value_type = Option<f64>, example = 5000)]
    total_amount_cents: Option<i64>,
}

impl Validate for UpdateJobPosting {
    const FIELDS: &'static [Field] = &[
        Field::not_null("title", &[Rule::IsString]),
        Field::not_null("description", &[Rule::IsString]),
        Field::not_null("location", LOCATION),
        Field::not_null("isPromoted", &[Rule::IsBoolean]),
        Field::not_null("averageDailyRate", AT_LEAST_ZERO),
        Field::not_null("seniority", AT_LEAST_ZERO),
        Field::not_null("companyId", &[Rule::IsUuid]),
        Field::optional("skillIds", SKILL_IDS),
        Field::ignored("checkpointIds"),
        Field::optional("totalAmount", &[Rule::Min(0.0), Rule::IsMoney]),
    ];
}

impl UpdateJobPosting {
    pub fn into_changes(self) -> JobPostingChanges {
        JobPostingChanges {
            title: self.title,
            description: self.description,
            location: self.location,
            is_promoted: self.is_promoted,
            average_daily_rate: self.average_daily_rate,
            seniority: self.seniority,
            total_amount: self.total_amount_cents.map(Cents),
            skill_ids: self.skill_ids,
        }
    }
}

/// What to search for; what is absent does not narrow the search.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct SearchJobPostings {
    /// A part of the title or of a skill's name, in any case.
    #[serde(default, deserialize_with = "optional_title")]
    #[schema(example = "Developer", max_length = 200)]
    title: Option<String>,
    /// The posting has at least one of these skills; in any case.
    #[serde(default)]
    #[schema(example = json!(["JavaScript", "React"]), max_items = 50)]
    skill_names: Vec<String>,
    location: Option<JobPostingLocation>,
    #[schema(example = 400)]
    min_daily_rate: Option<f64>,
    #[schema(example = 800)]
    max_daily_rate: Option<f64>,
    #[schema(example = 2)]
    min_seniority: Option<f64>,
    #[schema(example = 10)]
    max_seniority: Option<f64>,
    #[schema(example = 0, minimum = 0)]
    skip: Option<f64>,
    /// From 1 to 100; 10 when absent.
    #[schema(example = 10, minimum = 1, maximum = 100)]
    take: Option<f64>,
}

impl Validate for SearchJobPostings {
    const FIELDS: &'static [Field] = &[
        Field::optional("title", &[Rule::IsString]),
        Field::optional("skillNames", &[Rule::IsArray, Rule::MaxItems(SKILLS)]),
        Field::optional("location", LOCATION),
        Field::optional("minDailyRate", AT_LEAST_ZERO),
        Field::optional("maxDailyRate", AT_LEAST_ZERO),
        Field::optional("minSeniority", AT_LEAST_ZERO),
        Field::optional("maxSeniority", AT_LEAST_ZERO),
        Field::optional("skip", &[Rule::Min(0.0), Rule::IsInteger]),
        Field::optional("take", &[Rule::Max(100.0), Rule::Min(1.0), Rule::IsInteger]),
    ];
}

impl SearchJobPostings {
    const DEFAULT_TAKE: f64 = 10.0;

    pub fn into_search(self) -> JobPostingSearch {
        // The rules let only whole numbers through; JSON may still write them as 10.0.
        #[expect(clippy::cast_possible_truncation, reason = "whole and within the range of i32")]
        let whole = |number: f64| number as i64;
        JobPostingSearch {
            title: self.title,
            skill_names: self.skill_names,
            location: self.location,
            minimum_daily_rate: self.min_daily_rate,
            maximum_daily_rate: self.max_daily_rate,
            minimum_seniority: self.min_seniority,
            maximum_seniority: self.max_seniority,
            skip: whole(self.skip.unwrap_or_default()),
            take: whole(self.take.unwrap_or(Self::DEFAULT_TAKE)),
        }
    }
}

/// A text of at most `most` characters.
fn limited<'de, D: Deserializer<'de>>(deserializer: D, field: &str, most: usize) -> Result<String, D::Error> {
    let text = String::deserialize(deserializer)?;
    if text.chars().count() > most {
        return Err(D::Error::custom(format!("{field} must be shorter than or equal to {most} characters")));
    }
    Ok(text)
}

pub fn title<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    limited(deserializer, "title", 200)
}

pub fn name<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    limited(deserializer, "name", 200)
}

pub fn description<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    limited(deserializer, "description", 20_000)
}

fn optional_title<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    title(deserializer).map(Some)
}

fn optional_description<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    description(deserializer).map(Some)
}

/// Whole years; `3.0` is whole.
fn seniority<'de, D: Deserializer<'de>>(deserializer: D) -> Result<i32, D::Error> {
    let number = f64::deserialize(deserializer)?;
    if number.fract() != 0.0 || number.abs() > f64::from(i32::MAX) {
        return Err(D::Error::custom("seniority must be an integer number"));
    }
    #[expect(clippy::cast_possible_truncation, reason = "whole and within the range of i32")]
    Ok(number as i32)
}

fn optional_seniority<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<i32>, D::Error> {
    seniority(deserializer).map(Some)
}

fn daily_rate<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Cents, D::Error> {
    let number = serde_json::Number::deserialize(deserializer)?;
    Cents::parse_euros(&number.to_string())
        .map_err(|error| D::Error::custom(format!("averageDailyRate must be an amount in euros: {error}")))
}

fn optional_daily_rate<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Cents>, D::Error> {
    daily_rate(deserializer).map(Some)
}
