//! `/skills`: the shared list of skills.

use axum::extract::State;
use freehunt_domain::{
    ids::SkillId,
    skills::{self, CreateSkillError, NewSkill, Skill, SkillType, queries},
};
use serde::Deserialize;

use crate::{
    answer_cache::ReadyAnswer,
    error::{ApiError, ApiResult, ErrorBody},
    extract::{Created, Field, MaybeJson, PathId, Rule, Session, ValidBody, Validate},
    routes::closed,
    state::AppState,
};

/// A skill to add.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
pub struct CreateSkill {
    /// At most 50 characters.
    #[schema(example = "JavaScript", max_length = 50)]
    name: String,
    /// Acronyms, synonyms, variations: at most 20 of at most 50 characters.
    #[schema(example = json!(["JS", "ECMAScript"]))]
    aliases: Vec<String>,
    r#type: SkillType,
}

impl Validate for CreateSkill {
    const FIELDS: &'static [Field] = &[
        Field::required("name", &[Rule::IsString, Rule::Limit(50)]),
        Field::required("aliases", &[Rule::EachString, Rule::IsArray, Rule::EachMaxLength(50), Rule::MaxItems(20)]),
        Field::required("type", &[Rule::IsEnum(SkillType::NAMES)]),
    ];
}

impl From<CreateSkillError> for ApiError {
    fn from(error: CreateSkillError) -> Self {
        match error {
            CreateSkillError::Exists { field } => Self::already_exists(field),
            CreateSkillError::TooMany => Self::too_many_requests(86_400),
            CreateSkillError::Database(error) => error.into(),
        }
    }
}

/// Adds a skill, at most 20 a day for each user.
#[utoipa::path(post, path = "/skills", tag = "skills", request_body = CreateSkill, security(("session" = [])),
    responses((status = 201, description = "The skill", body = Skill),
        (status = 409, description = "The name exists", body = ErrorBody),
        (status = 429, description = "The daily limit is reached", body = ErrorBody)))]
pub async fn create_skill(
    State(state): State<AppState>,
    session: Session,
    ValidBody(body): ValidBody<CreateSkill>,
) -> ApiResult<Created<Skill>> {
    let skill = NewSkill { name: body.name, aliases: body.aliases, r#type: body.r#type };
    let created = skills::create(&state.pool, session.user_id, &skill).await?;
    state.skills.forget();
    Ok(Created(created))
}

/// All skills, oldest first.
#[utoipa::path(get, path = "/skills", tag = "skills",
    responses((status = 200, description = "All skills", body = Vec<Skill>)))]
pub async fn list_skills(State(state): State<AppState>) -> ApiResult<ReadyAnswer> {
    Ok(state.skills.get(&state).await?.answer.clone())
}

/// One skill; an empty body when there is none.
#[utoipa::path(get, path = "/skills/{id}", tag = "skills", params(("id" = SkillId, Path)),
    responses((status = 200, description = "The skill, or nothing", body = Skill)))]
pub async fn get_skill(State(state): State<AppState>, PathId(id): PathId<SkillId>) -> ApiResult<MaybeJson<Skill>> {
    let mut connection = state.connection().await?;
    Ok(MaybeJson(queries::find_skill(&mut connection, id).await?))
}

/// Closed: nobody renames everyone's skills.
#[utoipa::path(patch, path = "/skills/{id}", tag = "skills", params(("id" = SkillId, Path)), security(("session" = [])),
    responses((status = 403, description = "Closed", body = ErrorBody)))]
pub async fn update_skill(session: Session) -> ApiResult<()> {
    closed(&session)
}

/// Closed: nobody deletes everyone's skills.
#[utoipa::path(delete, path = "/skills/{id}", tag = "skills", params(("id" = SkillId, Path)), security(("session" = [])),
    responses((status = 403, description = "Closed", body = ErrorBody)))]
pub async fn delete_skill(session: Session) -> ApiResult<()> {
    closed(&session)
}
