//! What clients send about postings, and the limits that the original had no text for.

use freehunt_domain::{
    Cents,
    ids::CompanyId,
    job_postings::{JobPostingChanges, JobPostingLocation, NewJobPosting, search::JobPostingSearch},
};
use serde::Deserialize;
use uuid::Uuid;

use crate::extract::{Field, Rule, Validate};

/// Skills a posting or a search may name.
const SKILLS: usize = 50;

const TITLE: &[Rule] = &[Rule::IsString, Rule::Limit(200)];
const EUROS: &[Rule] = &[Rule::Min(0.0), Rule::IsMoney];
const AT_LEAST_ZERO: &[Rule] = &[Rule::Min(0.0), Rule::IsNumber];
const LOCATION: &[Rule] = &[Rule::IsEnum(JobPostingLocation::NAMES)];

/// A posting to draft.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct CreateJobPosting {
    /// At most 200 characters.
    #[schema(example = "SEO Optimization Specialist", max_length = 200)]
    title: String,
    /// At most 20 000 characters.
    #[schema(example = "We are looking for a specialist to improve our rankings.", max_length = 20_000)]
    description: String,
    location: JobPostingLocation,
    is_promoted: bool,
    /// In euros, at most two decimals.
    #[serde(rename = "averageDailyRate")]
    #[schema(value_type = f64, example = 500)]
    average_daily_rate_cents: i64,
    /// In whole years.
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

/// A posting's fields; every limit that the original's texts do not speak of is this server's own.
const FIELDS: [Field; 10] = [
    Field::required("title", TITLE),
    Field::required("description", &[Rule::IsString, Rule::Limit(20_000)]),
    Field::required("location", LOCATION),
    Field::required("isPromoted", &[Rule::IsBoolean]),
    Field::required("averageDailyRate", EUROS),
    Field::required("seniority", &[Rule::Min(0.0), Rule::IsNumber, Rule::IsInteger]),
    Field::required("companyId", &[Rule::IsUuid]),
    Field::optional("skillIds", &[Rule::EachUuid, Rule::IsArray, Rule::MaxItems(SKILLS)]),
    // Checked and dropped: a checkpoint names its posting, not the other way round.
    Field::optional("checkpointIds", &[Rule::EachUuid, Rule::IsArray]),
    Field::optional("totalAmount", EUROS),
];

impl Validate for CreateJobPosting {
    const FIELDS: &'static [Field] = &FIELDS;
}

impl CreateJobPosting {
    pub fn into_posting(self) -> NewJobPosting {
        NewJobPosting {
            company_id: self.company_id,
            title: self.title,
            description: self.description,
            location: self.location,
            is_promoted: self.is_promoted,
            average_daily_rate: Cents(self.average_daily_rate_cents),
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
    #[schema(example = "SEO Optimization Specialist", max_length = 200)]
    title: Option<String>,
    #[schema(max_length = 20_000)]
    description: Option<String>,
    location: Option<JobPostingLocation>,
    is_promoted: Option<bool>,
    /// Frozen once the payment has begun.
    #[serde(rename = "averageDailyRate")]
    #[schema(value_type = Option<f64>, example = 500)]
    average_daily_rate_cents: Option<i64>,
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
    const FIELDS: &'static [Field] = &Field::partial(FIELDS);
}

impl UpdateJobPosting {
    pub fn into_changes(self) -> JobPostingChanges {
        JobPostingChanges {
            title: self.title,
            description: self.description,
            location: self.location,
            is_promoted: self.is_promoted,
            average_daily_rate: self.average_daily_rate_cents.map(Cents),
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
    skip: Option<i64>,
    /// From 1 to 100; 10 when absent.
    #[schema(example = 10, minimum = 1, maximum = 100)]
    take: Option<i64>,
}

impl Validate for SearchJobPostings {
    const FIELDS: &'static [Field] = &[
        Field::optional("title", TITLE),
        Field::optional("skillNames", &[Rule::IsArray, Rule::OnlyStrings, Rule::MaxItems(SKILLS)]),
        Field::optional("location", LOCATION),
        Field::optional("minDailyRate", AT_LEAST_ZERO),
        Field::optional("maxDailyRate", AT_LEAST_ZERO),
        Field::optional("minSeniority", AT_LEAST_ZERO),
        Field::optional("maxSeniority", AT_LEAST_ZERO),
        Field::optional("skip", &[Rule::Min(0.0), Rule::IsNumber, Rule::IsInteger]),
        Field::optional("take", &[Rule::Min(1.0), Rule::IsNumber, Rule::IsInteger, Rule::Max(100.0)]),
    ];
}

impl SearchJobPostings {
    const DEFAULT_TAKE: i64 = 10;

    pub fn into_search(self) -> JobPostingSearch {
        JobPostingSearch {
            title: self.title,
            skill_names: self.skill_names,
            location: self.location,
            minimum_daily_rate: self.min_daily_rate,
            maximum_daily_rate: self.max_daily_rate,
            minimum_seniority: self.min_seniority,
            maximum_seniority: self.max_seniority,
            skip: self.skip.unwrap_or_default(),
            take: self.take.unwrap_or(Self::DEFAULT_TAKE),
        }
    }
}
