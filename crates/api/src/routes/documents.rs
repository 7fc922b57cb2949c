//! `/documents`: which uploaded picture is shown for whom.

use axum::{
    extract::{FromRequestParts, State},
    http::request::Parts,
};
use freehunt_domain::{
    documents::{self, Document, DocumentType, queries},
    ids::{DocumentId, UserId},
    policy,
};
use serde::{Deserialize, Serialize};

use super::upload::key_of_url;
use crate::{
    error::{ApiError, ApiResult, ErrorBody, NOTHING_TO_DELETE},
    extract::{Access, Allowed, Created, Field, Json, MaybeJson, PathId, Rule, Session, ValidBody, Validate},
    state::AppState,
};

/// An uploaded picture to be shown as one's avatar.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct CreateDocument {
    /// The file's name; what misleads is taken out.
    #[schema(example = "photo.png")]
    name: String,
    /// Only `AVATAR`.
    #[schema(value_type = String, example = "AVATAR")]
    #[serde(rename = "type")]
    _type: DocumentType,
    /// As `POST /upload` answered it.
    #[schema(example = "https://s3.eu-west-3.amazonaws.com/freehunt-avatar/avatars/…/….png")]
    url: String,
    /// Oneself.
    user_id: Option<UserId>,
}

impl Validate for CreateDocument {
    const FIELDS: &'static [Field] = &[
        Field::required("name", &[Rule::IsString, Rule::NotBlank]),
        Field::required("type", &[Rule::IsString, Rule::OneOf(&["AVATAR"])]),
        Field::required("url", &[Rule::IsString, Rule::NotBlank, Rule::Limit(2000)]),
        Field::optional("userId", &[Rule::IsUuid]),
        Field::ignored("freelanceId"),
        Field::ignored("invoiceId"),
        Field::ignored("quoteId"),
        Field::ignored("messageId"),
    ];
}

/// An avatar as its owner or a conversation partner sees it.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[serde(untagged)]
pub enum AvatarView {
    Own(Document),
    Partner(PartnerAvatar),
}

/// An avatar as a conversation partner sees it.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct PartnerAvatar {
    id: DocumentId,
    #[schema(example = "https://s3.eu-west-3.amazonaws.com/freehunt-avatar/avatars/…/….png")]
    url: String,
    r#type: DocumentType,
    user_id: Option<UserId>,
}

impl AvatarView {
    fn new(document: Document, is_own: bool) -> Self {
        if is_own {
            return Self::Own(document);
        }
        let Document { id, url, r#type, user_id, .. } = document;
        Self::Partner(PartnerAvatar { id, url, r#type, user_id })
    }
}

/// The permission to see a user's avatar.
pub struct VisibleAvatar {
    owner: UserId,
    is_own: bool,
}

impl Access for VisibleAvatar {
    type Claim = (Session, UserId);

    async fn claim(parts: &mut Parts, state: &AppState) -> ApiResult<Self::Claim> {
        let session = Session::from_request_parts(parts, state).await?;
        let PathId(owner) = PathId::from_request_parts(parts, state).await?;
        Ok((session, owner))
    }

    async fn grant((session, owner): Self::Claim, state: &AppState) -> ApiResult<Self> {
        let is_own = owner == session.user_id;
        let shares_conversation = !is_own && {
            let mut connection = state.connection().await?;
            let shares = queries::share_conversation(&mut connection, session.user_id, owner).await?;
            connection.finish();
            shares
        };
        ApiError::check(policy::view_avatar(session.actor(), owner, shares_conversation), "User not found")?;
        Ok(Self { owner, is_own })
    }
}

/// The permission to delete a document.
pub struct OwnDocument {
    id: DocumentId,
    owner: UserId,
}

impl Access for OwnDocument {
    type Claim = (Session, DocumentId);

    async fn claim(parts: &mut Parts, state: &AppState) -> ApiResult<Self::Claim> {
        let session = Session::from_request_parts(parts, state).await?;
        let PathId(id) = PathId::from_request_parts(parts, state).await?;
        Ok((session, id))
    }

    async fn grant((session, id): Self::Claim, state: &AppState) -> ApiResult<Self> {
        session.require_confirmed()?;
        let mut connection = state.connection().await?;
        let owner = queries::find_document_owner(&mut connection, id).await?.flatten();
        if !policy::delete_document(session.actor(), owner).is_allowed() {
            return Err(no_such_document());
        }
        Ok(Self { id, owner: session.user_id })
    }
}

fn no_such_document() -> ApiError {
    ApiError::missing_dependency(NOTHING_TO_DELETE)
}

/// Shows an uploaded picture as one's avatar. May be repeated: there is one avatar a user.
#[utoipa::path(post, path = "/documents", tag = "documents", request_body = CreateDocument, security(("session" = [])),
    responses((status = 201, description = "The document", body = Document),
        (status = 400, description = "A broken rule, or an address that was not issued to this user", body = ErrorBody),
        (status = 401, description = "No session", body = ErrorBody),
        (status = 403, description = "For somebody else", body = ErrorBody),
        (status = 409, description = "The user has a document of another type", body = ErrorBody)))]
pub async fn create_document(
    State(state): State<AppState>,
    session: Session,
    ValidBody(body): ValidBody<CreateDocument>,
) -> ApiResult<Created<Document>> {
    session.require_confirmed()?;
    let claimed = body.user_id.unwrap_or(session.user_id);
    ApiError::check(policy::is_self(session.actor(), claimed), "")?;
    let user_id = session.user_id;
    let attached =
        documents::attach_issued_object(&state.pool, user_id, &body.url, &body.name, key_of_url(&state)).await?;
    Ok(Created(attached.document))
}

/// The avatar of oneself or of somebody one shares a conversation with; an empty body when there is none.
#[utoipa::path(get, path = "/documents/user/{id}", tag = "documents", params(("id" = UserId, Path)),
    security(("session" = [])),
    responses((status = 200, description = "The avatar, or nothing", body = AvatarView),
        (status = 401, description = "No session", body = ErrorBody),
        (status = 404, description = "Nobody the caller may see", body = ErrorBody)))]
pub async fn get_avatar_of_user(
    State(state): State<AppState>,
    Allowed(avatar): Allowed<VisibleAvatar>,
) -> ApiResult<MaybeJson<AvatarView>> {
    let mut connection = state.connection().await?;
    let documents = queries::list_documents_of_user(&mut connection, avatar.owner, Some(DocumentType::Avatar)).await?;
    connection.finish();
    Ok(MaybeJson(documents.into_iter().next().map(|document| AvatarView::new(document, avatar.is_own))))
}

/// Deletes one's document and the picture it shows.
#[utoipa::path(delete, path = "/documents/{id}", tag = "documents", params(("id" = DocumentId, Path)),
    security(("session" = [])),
    responses((status = 200, description = "The deleted document", body = Document),
        (status = 401, description = "No session", body = ErrorBody),
        (status = 404, description = "No document of the caller", body = ErrorBody)))]
pub async fn delete_document(
    State(state): State<AppState>,
    Allowed(document): Allowed<OwnDocument>,
) -> ApiResult<Json<Document>> {
    let deleted = documents::delete(&state.pool, document.id, document.owner, key_of_url(&state)).await?;
    deleted.map(Json).ok_or_else(no_such_document)
}
