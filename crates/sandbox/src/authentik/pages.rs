//! The few HTML pages a person sees: the login form of the authorization endpoint, errors, the logout page.

use axum::{
    http::{StatusCode, header},
    response::{Html, IntoResponse, Response},
};

/// The login form. It posts back to `action`, the authorization request it interrupts.
pub(super) fn login_form(action: &str, error: Option<&str>) -> Response {
    let status = if error.is_some() { StatusCode::UNAUTHORIZED } else { StatusCode::OK };
    let error = error.map(|text| format!("<p role=\"alert\">{}</p>", escape(text))).unwrap_or_default();
    let body = format!(
        "<h1>Connexion à FreeHunt</h1>{error}\
         <form method=\"post\" action=\"{}\">\
         <label>E-mail ou nom d'utilisateur <input name=\"uid_field\" autocomplete=\"username\" required></label>\
         <label>Mot de passe <input name=\"password\" type=\"password\" autocomplete=\"current-password\" required>\
         </label><button type=\"submit\">Se connecter</button></form>",
        escape(action)
    );
    page(status, "Connexion", &body)
}

/// A request that must not be answered by a redirect, because its redirect address is not to be trusted.
pub(super) fn bad_request(message: &str) -> Response {
    let body = format!("<h1>Requête refusée</h1><p>{}</p>", escape(message));
    page(StatusCode::BAD_REQUEST, "Requête refusée", &body)
}

pub(super) fn logged_out() -> Response {
    page(StatusCode::OK, "Déconnexion", "<h1>Vous êtes déconnecté.</h1>")
}

fn page(status: StatusCode, title: &str, body: &str) -> Response {
    let style = "body{font-family:sans-serif;max-width:24rem;margin:4rem auto}label,input,button{display:block;\
                 width:100%;margin:.5rem 0}";
    let html = format!(
        "<!doctype html><html lang=\"fr\"><head><meta charset=\"utf-8\"><title>{title}</title>\
         <style>{style}</style></head><body>{body}</body></html>"
    );
    (status, [(header::CACHE_CONTROL, "no-store")], Html(html)).into_response()
}

fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            other => escaped.push(other),
        }
    }
    escaped
}
