//! The pages that describe the API: Swagger UI at `/api`, the document at `/api-json` and `/api-yaml`. Everything is
//! in the binary; nothing is downloaded when it is built or viewed. Routed only where the configuration says so.

use std::sync::Arc;

use anyhow::Context;
use axum::{
    Router,
    body::Bytes,
    extract::{Path, Request, State},
    http::{HeaderValue, header},
    response::{IntoResponse, Response},
    routing::get,
};
use utoipa::openapi::OpenApi;
use utoipa_swagger_ui::Config;

use crate::{error::ApiError, state::AppState};

/// The UI's scripts and styles are files of this server; it sets styles on elements, and its icons are data URLs.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; \
    connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// The page names its files from the root because `/api/` and `/api` are the same page here.
const PAGE: &str = r#"<!DOCTYPE html>
<html lang="en">
  <head>
    <meta charset="UTF-8">
    <title>FreeHunt API</title>
    <link rel="stylesheet" href="/api/swagger-ui.css">
    <link rel="stylesheet" href="/api/index.css">
    <link rel="icon" type="image/png" href="/api/favicon-32x32.png" sizes="32x32">
  </head>
  <body>
    <div id="swagger-ui"></div>
    <script src="/api/swagger-ui-bundle.js" charset="UTF-8"></script>
    <script src="/api/swagger-ui-standalone-preset.js" charset="UTF-8"></script>
    <script src="/api/swagger-initializer.js" charset="UTF-8"></script>
  </body>
</html>
"#;

/// The document in both notations, made once.
struct Documents {
    json: Bytes,
    yaml: Bytes,
    ui: Arc<Config<'static>>,
}

/// The pages' routes.
pub fn router(document: &OpenApi) -> anyhow::Result<Router<AppState>> {
    let documents = Arc::new(Documents {
        json: document.to_json().context("the document becomes JSON")?.into(),
        yaml: document.to_yaml().context("the document becomes YAML")?.into(),
        ui: Arc::new(Config::from("/api-json").with_credentials(true)),
    });
    Ok(Router::new()
        .route("/api", get(page))
        .route("/api/{*file}", get(file))
        .route("/api-json", get(json))
        .route("/api-yaml", get(yaml))
        .with_state(documents))
}

async fn page() -> Response {
    with_policy(([(header::CONTENT_TYPE, "text/html; charset=utf-8")], PAGE).into_response())
}

async fn file(State(documents): State<Arc<Documents>>, Path(name): Path<String>, request: Request) -> Response {
    match utoipa_swagger_ui::serve(&name, Arc::clone(&documents.ui)) {
        Ok(Some(file)) => {
            let mut response = ([(header::CONTENT_TYPE, file.content_type)], file.bytes.into_owned()).into_response();
            if file.gzpipped {
                response.headers_mut().insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
            }
            with_policy(response)
        }
        Ok(None) => {
            ApiError::not_found(format!("Cannot {} {}", request.method(), request.uri().path())).into_response()
        }
        Err(error) => ApiError::internal(anyhow::anyhow!("Swagger UI: {error}")).into_response(),
    }
}

async fn json(State(documents): State<Arc<Documents>>) -> Response {
    ([(header::CONTENT_TYPE, "application/json; charset=utf-8")], documents.json.clone()).into_response()
}

async fn yaml(State(documents): State<Arc<Documents>>) -> Response {
    ([(header::CONTENT_TYPE, "text/yaml; charset=utf-8")], documents.yaml.clone()).into_response()
}

fn with_policy(mut response: Response) -> Response {
    response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    response
}
