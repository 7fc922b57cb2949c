//! The OpenAPI document's frame, and what all operations have in common. Paths and shapes come from the handlers.

use serde_json::json;
use utoipa::{
    Modify, OpenApi,
    openapi::{
        ContentBuilder, OpenApi as Document, Ref, RefOr, Response, ResponseBuilder,
        path::Operation,
        security::{ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityScheme},
    },
};
use utoipa_axum::router::OpenApiRouter;

use crate::{error::ErrorBody, state::AppState};

#[derive(OpenApi)]
#[openapi(
    info(
        title = "FreeHunt API",
        description = "Companies publish missions, freelances apply, both work through paid checkpoints and chat.\n\n\
            Amounts are in euros with at most two decimals. Times are ISO 8601 in UTC with milliseconds. Ids are UUIDs. \
            An answer that has nothing to say (`null`) is a 200 with an empty body. Every refusal carries `message`, \
            `error` and `statusCode`; a refused body lists one text per broken rule.\n\n\
            Requests are refused in a fixed order: session (401), role (403), path (400), body (400), visibility (404), \
            right (403), state (409). A browser's state changes must come from the frontend's origin (403 otherwise)."
    ),
    servers((url = "/", description = "This server")),
    tags(
        (name = "auth", description = "Log in, register, log out, and who is asking."),
        (name = "users", description = "A user's own account. Everything about other users is closed."),
        (name = "companies", description = "Profiles of those who publish."),
        (name = "freelances", description = "Profiles of those who apply, and the public search."),
        (name = "skills", description = "The list of skills that profiles and postings share."),
        (name = "job-postings", description = "Missions: drafts, payment, publication, search, cancellation."),
        (name = "checkpoints", description = "The paid steps of a mission: created before payment, submitted by the \
            freelance, approved by the company."),
        (name = "candidates", description = "Applications. Accepting one creates the project and its conversation."),
        (name = "projects", description = "What an accepted application became; only its two parties see it."),
        (name = "conversations", description = "Between two users, alone or about a project."),
        (name = "messages", description = "Messages of a conversation; new ones also arrive over the socket."),
        (name = "documents", description = "Avatars."),
        (name = "upload", description = "Image files; every image is drawn anew before it is stored."),
        (name = "stripe", description = "Payout accounts, the fee preview, and the webhook."),
        (name = "health", description = "Whether the server answers.")
    ),
    components(schemas(ErrorBody)),
    modifiers(&SecuritySchemes)
)]
pub struct Frame;

struct SecuritySchemes;

impl Modify for SecuritySchemes {
    fn modify(&self, document: &mut Document) {
        let components = document.components.get_or_insert_default();
        let cookie = ApiKeyValue::with_description(
            "freehunt_session",
            "Set by login and registration; named `__Host-freehunt_session` over https.",
        );
        components.add_security_scheme("session", SecurityScheme::ApiKey(ApiKey::Cookie(cookie)));
        let bearer = HttpBuilder::new()
            .scheme(HttpAuthScheme::Bearer)
            .bearer_format("JWT")
            .description(Some("An access token of Authentik, for clients that are no browser."))
            .build();
        components.add_security_scheme("bearer", SecurityScheme::Http(bearer));
    }
}

/// The refusals that many operations share, by their names under `components.responses`.
const SHARED: [SharedResponse; 8] = [
    SharedResponse::new(400, "BadRequest", "Bad Request", "The path or the body breaks a rule"),
    SharedResponse::new(401, "Unauthorized", "Unauthorized", "No session, or one that is over"),
    SharedResponse::new(403, "Forbidden", "Forbidden", "Not this caller's to do, or a foreign origin"),
    SharedResponse::new(404, "NotFound", "Not Found", "There is none, or none that the caller may see"),
    SharedResponse::new(413, "PayloadTooLarge", "Payload Too Large", "The body is too large"),
    SharedResponse::new(415, "UnsupportedMediaType", "Unsupported Media Type", "The body is of another type"),
    SharedResponse::new(500, "InternalServerError", "Internal Server Error", "A fault of the server"),
    SharedResponse::new(503, "ServiceUnavailable", "Service Unavailable", "Something the server needs is away; retry"),
];

struct SharedResponse {
    status: u16,
    name: &'static str,
    error: &'static str,
    description: &'static str,
}

impl SharedResponse {
    const fn new(status: u16, name: &'static str, error: &'static str, description: &'static str) -> Self {
        Self { status, name, error, description }
    }

    fn response(&self) -> Response {
        let message = match self.status {
            400 => json!(["email must be an email"]),
            413 => json!("request entity too large"),
            415 => json!("Content-Type must be application/json"),
            _ => json!(self.description),
        };
        let example = json!({ "message": message, "error": self.error, "statusCode": self.status });
        let content = ContentBuilder::new().schema(Some(Ref::from_schema_name("ErrorBody"))).example(Some(example));
        ResponseBuilder::new().description(self.description).content("application/json", content.build()).build()
    }

    /// Whether `operation`, reached by an unsafe method or not, can answer this without saying so itself.
    fn applies_to(&self, operation: &Operation, is_unsafe: bool) -> bool {
        let has_session = operation.security.as_ref().is_some_and(|requirements| !requirements.is_empty());
        let has_parameters = operation.parameters.as_ref().is_some_and(|parameters| !parameters.is_empty());
        let has_body = operation.request_body.is_some();
        match self.status {
            400 => has_body || has_parameters,
            401 => has_session,
            403 => has_session || is_unsafe,
            413 | 415 => has_body,
            404 => false,
            _ => true,
        }
    }
}

/// Router and document of the whole API; both come from the handlers' macros.
pub fn router_and_document() -> (axum::Router<AppState>, Document) {
    let frame = OpenApiRouter::with_openapi(Frame::openapi());
    let (router, mut document) = frame.merge(crate::routes::router()).split_for_parts();
    add_shared_responses(&mut document);
    (router, document)
}

/// Adds the shared refusals to every operation that can answer them and does not describe them itself.
fn add_shared_responses(document: &mut Document) {
    let components = document.components.get_or_insert_default();
    for shared in &SHARED {
        components.responses.insert(shared.name.to_owned(), RefOr::T(shared.response()));
    }
    for item in document.paths.paths.values_mut() {
        let safe = [&mut item.get, &mut item.head].into_iter().flatten().map(|operation| (operation, false));
        let others = [&mut item.post, &mut item.put, &mut item.patch, &mut item.delete];
        let others = others.into_iter().flatten().map(|operation| (operation, true));
        for (operation, is_unsafe) in safe.chain(others) {
            for shared in SHARED.iter().filter(|shared| shared.applies_to(operation, is_unsafe)).collect::<Vec<_>>() {
                let reference = RefOr::Ref(Ref::from_response_name(shared.name));
                operation.responses.responses.entry(shared.status.to_string()).or_insert(reference);
            }
        }
    }
}
