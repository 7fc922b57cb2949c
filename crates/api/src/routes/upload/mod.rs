//! `/upload`: pictures on their way into the bucket.

mod pace;
mod receive;

use axum::{
    body::Bytes,
    extract::{FromRequestParts, RawQuery, Request, State},
    http::{StatusCode, request::Parts},
};
use freehunt_domain::{
    documents::{self, AttachError, Document, DocumentType, NewObject, queries},
    ids::UserId,
    policy,
};
use freehunt_storage::{ImageError, ObjectKey, StorageError};
use serde::Serialize;
use uuid::Uuid;

pub use self::receive::UploadMemory;
use self::receive::receive_file;
use crate::{
    error::{ApiError, ApiResult, ErrorBody},
    extract::{Access, Allowed, Created, Json, PathId, Session},
    state::AppState,
};

/// What an upload form holds.
#[derive(utoipa::ToSchema)]
#[schema(as = UploadForm)]
#[expect(dead_code, reason = "only describes the form for the documentation")]
pub struct UploadForm {
    /// JPEG, PNG, WebP (still) or GIF, at most 5 MB and 40 million pixels (33 million as PNG). It is
    /// drawn anew, at most 512 pixels a side.
    #[schema(value_type = String, format = Binary)]
    file: Vec<u8>,
    /// Always the bucket of the avatars.
    #[schema(rename = "bucketName", example = "freehunt-avatar")]
    bucket_name: Option<String>,
}

/// Where an uploaded picture is.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct Uploaded {
    /// Where browsers find it.
    #[schema(example = "https://s3.eu-west-3.amazonaws.com/freehunt-avatar/avatars/…/….png")]
    url: String,
    #[schema(example = "avatars/…/….png")]
    key: String,
}

/// The new avatar.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct UpdatedAvatar {
    #[serde(flatten)]
    uploaded: Uploaded,
    document: Document,
    #[schema(example = "Avatar mis à jour avec succès")]
    message: &'static str,
}

impl From<ImageError> for ApiError {
    fn from(error: ImageError) -> Self {
        match error {
            ImageError::UnsupportedType => {
                Self::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "The file must be a JPEG, PNG, WebP or GIF image")
            }
            ImageError::TooLarge => Self::bad_request("The image has too many pixels"),
            ImageError::Corrupt => Self::bad_request("The image is corrupt"),
            ImageError::Busy => Self::unavailable(error),
        }
    }
}

impl From<StorageError> for ApiError {
    /// A store that refuses us is as useless as one that is away, and neither is the client's fault.
    fn from(error: StorageError) -> Self {
        Self::unavailable(error)
    }
}

impl From<AttachError> for ApiError {
    fn from(error: AttachError) -> Self {
        match error {
            AttachError::NotIssued => Self::bad_request("url must be the address of a file you uploaded"),
            AttachError::OtherDocument => Self::already_exists("userId"),
            AttachError::Database(error) => error.into(),
        }
    }
}

/// The permission to change one's own avatar.
pub struct OwnAvatar {
    user_id: UserId,
}

impl Access for OwnAvatar {
    type Claim = (Session, UserId);

    async fn claim(parts: &mut Parts, state: &AppState) -> ApiResult<Self::Claim> {
        let session = Session::from_request_parts(parts, state).await?;
        let PathId(user_id) = PathId::from_request_parts(parts, state).await?;
        Ok((session, user_id))
    }

    async fn grant((session, user_id): Self::Claim, _state: &AppState) -> ApiResult<Self> {
        ApiError::check(policy::is_self(session.actor(), user_id), "")?;
        session.require_confirmed()?;
        Ok(Self { user_id })
    }
}

/// Uploads a picture, to be shown with `POST /documents` within a day.
#[utoipa::path(post, path = "/upload", tag = "upload", security(("session" = [])),
    request_body(content = UploadForm, content_type = "multipart/form-data"),
    responses((status = 201, description = "Where the picture is", body = Uploaded),
        (status = 400, description = "No form, no file, another bucket, a corrupt image or too many pixels", body = ErrorBody),
        (status = 401, description = "No session", body = ErrorBody),
        (status = 408, description = "The upload took too long", body = ErrorBody),
        (status = 413, description = "More than 5 MB", body = ErrorBody),
        (status = 415, description = "Not an image that is accepted", body = ErrorBody),
        (status = 503, description = "Storage is away or too busy", body = ErrorBody)))]
pub async fn upload_file(
    State(state): State<AppState>,
    session: Session,
    request: Request,
) -> ApiResult<Created<Uploaded>> {
    session.require_confirmed()?;
    let (_name, object) = take_picture(&state, session.user_id, request).await?;
    documents::record_upload(&state.pool, session.user_id, &object).await?;
    Ok(Created(Uploaded { url: object.url, key: object.key }))
}

/// From the request into the bucket, beside other requests; also the file's name, as the client sent it.
async fn take_picture(state: &AppState, user_id: UserId, request: Request) -> ApiResult<(String, NewObject)> {
    let own = state.clone();
    let work = async move {
        let file = receive_file(request, user_id, &own.upload_memory, &own.config.s3.bucket).await?;
        Ok((file.name, store(&own, user_id, file.bytes).await?))
    };
    let taken = state.background.drive(work).await;
    taken.map_err(ApiError::internal)?
}

/// Draws the picture anew and puts it into the bucket, under a key that owes nothing to the client.
async fn store(state: &AppState, user_id: UserId, bytes: Bytes) -> ApiResult<NewObject> {
    let image = state.sanitiser.run(bytes).await?;
    let key = ObjectKey::avatar(user_id.0, image.extension);
    state.storage.put(&key, image.content_type, image.bytes).await?;
    Ok(NewObject { url: state.storage.public_url(&key), key: key.to_string() })
}

/// The key of an object whose address is in an old row.
pub(super) fn key_of_url(state: &AppState) -> impl Fn(&str) -> Option<String> {
    |url| state.storage.key_of_url(url).map(|key| key.to_string())
}

/// One's own documents.
#[utoipa::path(get, path = "/upload", tag = "upload", security(("session" = [])),
    params(("userId" = UserId, Query, description = "Oneself"), ("type" = Option<DocumentType>, Query)),
    responses((status = 200, description = "The documents", body = Vec<Document>),
        (status = 400, description = "An id that is none, or an unknown type", body = ErrorBody),
        (status = 401, description = "No session", body = ErrorBody),
        (status = 403, description = "Somebody else's documents", body = ErrorBody)))]
pub async fn list_uploads(
    State(state): State<AppState>,
    session: Session,
    RawQuery(query): RawQuery,
) -> ApiResult<Json<Vec<Document>>> {
    let query = query.unwrap_or_default();
    let expected = || ApiError::bad_request("Validation failed (uuid is expected)");
    let user_id = query_value(&query, "userId")?.ok_or_else(expected)?;
    let user_id = Uuid::try_parse(&user_id).map_err(|_invalid| expected())?;
    ApiError::check(policy::is_self(session.actor(), UserId(user_id)), "")?;
    let r#type = query_value(&query, "type")?.map(|name| {
        let names = "type must be one of the following values: AVATAR, INVOICE, QUOTE";
        DocumentType::parse(&name).ok_or_else(|| ApiError::bad_request(names))
    });
    let mut connection = state.connection().await?;
    Ok(Json(queries::list_documents_of_user(&mut connection, session.user_id, r#type.transpose()?).await?))
}

/// The value of a query parameter, which may be given once.
fn query_value(query: &str, name: &str) -> ApiResult<Option<String>> {
    let mut values = url::form_urlencoded::parse(query.as_bytes()).filter(|(key, _)| key == name);
    let value = values.next().map(|(_, value)| value.into_owned());
    match values.next() {
        None => Ok(value),
        Some(_) => Err(ApiError::bad_request(format!("{name} must be given once"))),
    }
}

/// Replaces one's avatar. Whatever fails, the old one stays.
#[utoipa::path(patch, path = "/upload/avatar/{userId}", tag = "upload", security(("session" = [])),
    params(("userId" = UserId, Path, description = "Oneself")),
    request_body(content = UploadForm, content_type = "multipart/form-data"),
    responses((status = 200, description = "The new avatar", body = UpdatedAvatar),
        (status = 400, description = "No form, no file, a corrupt image or too many pixels", body = ErrorBody),
        (status = 401, description = "No session", body = ErrorBody),
        (status = 403, description = "Somebody else's avatar", body = ErrorBody),
        (status = 408, description = "The upload took too long", body = ErrorBody),
        (status = 413, description = "More than 5 MB", body = ErrorBody),
        (status = 415, description = "Not an image that is accepted", body = ErrorBody),
        (status = 503, description = "Storage is away or too busy", body = ErrorBody)))]
pub async fn update_avatar(
    State(state): State<AppState>,
    Allowed(avatar): Allowed<OwnAvatar>,
    request: Request,
) -> ApiResult<Json<UpdatedAvatar>> {
    let (file_name, object) = take_picture(&state, avatar.user_id, request).await?;
    let attached =
        documents::replace_avatar(&state.pool, avatar.user_id, &object, &file_name, key_of_url(&state)).await?;
    let message = if attached.replaced { "Avatar mis à jour avec succès" } else { "Avatar créé avec succès" };
    let uploaded = Uploaded { url: object.url, key: object.key };
    Ok(Json(UpdatedAvatar { uploaded, document: attached.document, message }))
}
