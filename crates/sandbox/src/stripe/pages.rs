//! The two pages that a person sees: Checkout, whose button reads `Payer`, and Connect's onboarding, whose button reads
//! `Terminer`. In French, as the product is.

use std::sync::Arc;

use axum::{
    extract::{Path, State as Extract},
    http::{HeaderValue, StatusCode, header::LOCATION},
    response::{Html, IntoResponse, Response},
};
use url::Url;

use super::{
    books::{CheckoutSession, SessionStatus},
    state::Shared,
};

const STYLE: &str = "body{font-family:system-ui,sans-serif;background:#f6f9fc;color:#1a1f36;margin:0;display:grid;\
min-height:100vh;place-items:center}main{background:#fff;border-radius:8px;box-shadow:0 4px 20px #0001;padding:2rem;\
width:min(26rem,90vw)}h1{font-size:1.1rem}.montant{font-size:2rem;font-weight:600;margin:.5rem 0 1.5rem}\
button{width:100%;padding:.8rem;border:0;border-radius:6px;background:#635bff;color:#fff;font-size:1rem;cursor:pointer}\
a{display:inline-block;margin-top:1rem;color:#635bff}small{color:#697386}";

/// `GET /pay/{session}`
pub(super) async fn checkout(Extract(shared): Extract<Arc<Shared>>, Path(id): Path<String>) -> Response {
    match shared.read(|state| state.sessions.get(&id).cloned()) {
        None => page(StatusCode::NOT_FOUND, "Paiement introuvable", "<p>Cette page de paiement n’existe pas.</p>"),
        Some(session) => checkout_page(&session),
    }
}

/// `POST /pay/{session}`: the customer paid.
pub(super) async fn pay(Extract(shared): Extract<Arc<Shared>>, Path(id): Path<String>) -> Response {
    if let Ok(paid) = shared.change(|state| state.pay(&id)) {
        return redirect(&paid.success_url);
    }
    match shared.read(|state| state.sessions.get(&id).cloned()) {
        // A second click on a paid page goes where the first one went.
        Some(session) if session.paid => redirect(&success_url(&session)),
        Some(session) => checkout_page(&session),
        None => page(StatusCode::NOT_FOUND, "Paiement introuvable", "<p>Cette page de paiement n’existe pas.</p>"),
    }
}

/// `GET /connect/{account}/{link}`
pub(super) async fn onboarding(
    Extract(shared): Extract<Arc<Shared>>,
    Path((account, token)): Path<(String, String)>,
) -> Response {
    let (link, now) = shared.read(|state| (state.links.get(&token).cloned(), state.now()));
    match link.filter(|link| link.account == account) {
        None => page(StatusCode::NOT_FOUND, "Lien introuvable", "<p>Ce lien n’existe pas.</p>"),
        // Stripe sends the holder back for a new link.
        Some(link) if link.used || link.expires_at <= now => redirect(&link.refresh_url),
        Some(_) => page(
            StatusCode::OK,
            "Activez votre compte de paiement",
            &format!(
                "<p>Compte <code>{}</code></p><p>Vos informations sont enregistrées pour recevoir vos paiements.</p>\
                 <form method=\"post\"><button type=\"submit\">Terminer</button></form>",
                escape(&account)
            ),
        ),
    }
}

/// `POST /connect/{account}/{link}`: the holder finished.
pub(super) async fn finish(
    Extract(shared): Extract<Arc<Shared>>,
    Path((account, token)): Path<(String, String)>,
) -> Response {
    let return_url = shared.change(|state| {
        let link = state.links.get(&token).filter(|link| link.account == account)?.clone();
        if !link.used {
            state.finish_onboarding(&account).ok()?;
        }
        if let Some(link) = state.links.get_mut(&token) {
            link.used = true;
        }
        Some(link.return_url)
    });
    match return_url {
        Some(url) => redirect(&url),
        None => page(StatusCode::NOT_FOUND, "Lien introuvable", "<p>Ce lien n’existe pas ou plus.</p>"),
    }
}

fn checkout_page(session: &CheckoutSession) -> Response {
    let title = session.line_items.first().map_or("Paiement", |item| item.name.as_str());
    let cancel = session.cancel_url.as_ref().map(|url| format!("<a href=\"{}\">Annuler</a>", escape(url)));
    let cancel = cancel.unwrap_or_default();
    match session.status {
        SessionStatus::Expired => page(
            StatusCode::GONE,
            "Session expirée",
            &format!("<p>Cette session de paiement a expiré. Aucun montant n’a été débité.</p>{cancel}"),
        ),
        SessionStatus::Complete => page(
            StatusCode::OK,
            "Paiement effectué",
            &format!(
                "<p>Ce paiement a déjà été effectué.</p><a href=\"{}\">Continuer</a>",
                escape(&success_url(session))
            ),
        ),
        SessionStatus::Open => {
            let description = session.line_items.first().and_then(|item| item.description.as_deref());
            let tax = match session.amount_tax {
                0 => String::new(),
                cents => format!("<p><small>dont TVA {}</small></p>", french_euros(cents)),
            };
            let body = format!(
                "<p>{}</p><p class=\"montant\">{}</p>{tax}<p><small>{}</small></p>\
                 <form method=\"post\"><button type=\"submit\">Payer</button></form>{cancel}",
                escape(description.unwrap_or_default()),
                french_euros(session.amount_total),
                escape(session.customer_email.as_deref().unwrap_or_default()),
            );
            page(StatusCode::OK, title, &body)
        }
    }
}

fn success_url(session: &CheckoutSession) -> String {
    session.success_url.replace("{CHECKOUT_SESSION_ID}", &session.id)
}

fn page(status: StatusCode, title: &str, body: &str) -> Response {
    let title = escape(title);
    let html = format!(
        "<!doctype html><html lang=\"fr\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"><title>{title}</title>\
         <style>{STYLE}</style></head><body><main><h1>{title}</h1>{body}\
         <p><small>Environnement de test : aucun argent ne circule.</small></p></main></body></html>"
    );
    (status, Html(html)).into_response()
}

fn redirect(url: &str) -> Response {
    let location = Url::parse(url).ok().and_then(|url| HeaderValue::from_str(url.as_str()).ok());
    match location {
        Some(location) => (StatusCode::SEE_OTHER, [(LOCATION, location)]).into_response(),
        None => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

/// Cents as French writes them: `1 998,99 €`.
fn french_euros(cents: i64) -> String {
    let euros = (cents / 100).to_string();
    let mut grouped = String::new();
    for (position, digit) in euros.char_indices() {
        if position > 0 && (euros.len() - position).is_multiple_of(3) {
            grouped.push('\u{202f}');
        }
        grouped.push(digit);
    }
    format!("{grouped},{:02}\u{a0}€", cents % 100)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_read_as_french() {
        assert_eq!(french_euros(199_899), "1\u{202f}998,99\u{a0}€");
        assert_eq!(french_euros(50), "0,50\u{a0}€");
        assert_eq!(french_euros(99_999_999), "999\u{202f}999,99\u{a0}€");
    }
}
