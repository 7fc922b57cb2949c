//! The payment page of a posting.

use axum::{extract::State, http::StatusCode};
use freehunt_domain::{
    ids::{JobPostingId, PaymentSessionId},
    payments::{
        Checkout, CheckoutTerms, PaymentSession, SessionStatus, begin_checkout, queries::sessions::find_session,
    },
    retry::retrying,
};
use freehunt_jobs::AttemptOutcome;
use serde::{Deserialize, Serialize};
use url::Url;

use super::patience;
use crate::{
    error::{ApiError, ApiResult, ErrorBody, FORBIDDEN},
    extract::{AllowedBody, Created, Field, Rule, Unknown, Validate},
    routes::job_postings::access::OwnedJobPosting,
    state::AppState,
};

/// Where the payment page leads back to.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct CreatePayment {
    /// On the frontend's origin; `{CHECKOUT_SESSION_ID}` is replaced by Stripe.
    #[schema(example = "https://freehunt.fr/project/payment-success?session_id={CHECKOUT_SESSION_ID}")]
    success_url: String,
    /// On the frontend's origin.
    #[schema(example = "https://freehunt.fr/dashboard/job-postings?payment=cancelled")]
    cancel_url: String,
    /// The session's own address, or absent.
    #[schema(example = "acme@example.com")]
    customer_email: Option<String>,
}

impl Validate for CreatePayment {
    const FIELDS: &'static [Field] = &[
        Field::required("successUrl", &[Rule::IsString, Rule::Limit(2000)]),
        Field::required("cancelUrl", &[Rule::IsString, Rule::Limit(2000)]),
        Field::optional("customerEmail", &[Rule::IsString]),
    ];
    const UNKNOWN: Unknown = Unknown::Ignore;
}

/// The payment page.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct PaymentPage {
    /// Stripe's page; open for an hour.
    #[schema(example = "https://checkout.stripe.com/c/pay/cs_1234567890")]
    url: String,
    #[schema(example = "cs_1234567890")]
    session_id: String,
}

impl PaymentPage {
    fn of(session: PaymentSession) -> Option<Self> {
        let is_open = session.status == SessionStatus::Open;
        let (url, session_id) = (session.url?, session.stripe_session_id?);
        is_open.then_some(Self { url, session_id })
    }
}

/// Opens the payment page of a posting, or answers the one that is open.
#[utoipa::path(post, path = "/job-postings/{id}/create-payment", tag = "job-postings",
    params(("id" = JobPostingId, Path)), request_body = CreatePayment, security(("session" = [])), responses(
        (status = 201, description = "The payment page", body = PaymentPage),
        (status = 404, description = "No such posting", body = ErrorBody),
        (status = 409, description = "It does not await a payment, or its amounts do not add up", body = ErrorBody),
        (status = 502, description = "Stripe refused to make the page", body = ErrorBody),
        (status = 503, description = "Stripe has not answered: ask again", body = ErrorBody)))]
pub async fn create_payment(
    State(state): State<AppState>,
    AllowedBody(owned, body): AllowedBody<OwnedJobPosting, CreatePayment>,
) -> ApiResult<Created<PaymentPage>> {
    for (name, url) in [("successUrl", &body.success_url), ("cancelUrl", &body.cancel_url)] {
        check_return_url(&state.allowed_origins, name, url)?;
    }
    let own_email = owned.session.email.as_str();
    if body.customer_email.as_deref().is_some_and(|email| email.to_lowercase() != own_email.to_lowercase()) {
        return Err(ApiError::forbidden(FORBIDDEN));
    }
    owned.session.require_confirmed()?;
    let terms = CheckoutTerms {
        job_posting_id: owned.job_posting.id,
        payer: owned.session.user_id,
        customer_email: own_email,
        success_url: &body.success_url,
        cancel_url: &body.cancel_url,
        live_mode: state.config.stripe.live_mode,
        now: state.clock.now(),
    };
    open_page(&state, &terms).await.map(Created)
}

/// At most one replaced and one lost page are between the request and its answer.
const MOST_ROUNDS: u32 = 3;

async fn open_page(state: &AppState, terms: &CheckoutTerms<'_>) -> ApiResult<PaymentPage> {
    for _ in 0..MOST_ROUNDS {
        let (job, session) = match retrying(|| begin_checkout(&state.pool, terms)).await? {
            Checkout::Open(session) => return PaymentPage::of(session).ok_or_else(not_answered),
            Checkout::Creating(session, job) => (job, Some(session.id)),
            Checkout::Replacing(job) => (job, None),
        };
        if state.jobs.attempt(job, patience(state)).await != AttemptOutcome::Done {
            return Err(not_answered());
        }
        if let Some(session) = session
            && let Some(page) = made_page(state, session).await?
        {
            return Ok(page);
        }
    }
    Err(not_answered())
}

/// The page that was made; `None` when it ended at once, and another is to be made.
async fn made_page(state: &AppState, id: PaymentSessionId) -> ApiResult<Option<PaymentPage>> {
    let mut connection = state.connection().await?;
    let session = find_session(&mut connection, id).await?.ok_or(sqlx::Error::RowNotFound)?;
    if session.failure_code.is_some() {
        return Err(ApiError::new(StatusCode::BAD_GATEWAY, "The payment page could not be created"));
    }
    Ok(PaymentPage::of(session))
}

/// Nothing is lost: the same request finds the page that is being made.
fn not_answered() -> ApiError {
    ApiError::unavailable(anyhow::anyhow!("Stripe has not answered in time"))
}

/// Stripe sends the payer there: only addresses of the frontend, judged after parsing as a browser does.
fn check_return_url(origins: &[String], name: &str, text: &str) -> ApiResult<()> {
    let refused = || ApiError::bad_request(format!("{name} must be an address of the frontend"));
    // Browsers drop or turn round some characters; what they would read otherwise is refused.
    if text.chars().any(|character| character.is_whitespace() || character.is_control() || character == '\\') {
        return Err(refused());
    }
    let url = Url::parse(text).map_err(|_| refused())?;
    // The origin of a `blob:` address is the one inside it, so the scheme is looked at too.
    let is_plain = matches!(url.scheme(), "http" | "https") && url.username().is_empty() && url.password().is_none();
    let is_ours = origins.contains(&url.origin().ascii_serialization());
    if is_plain && is_ours { Ok(()) } else { Err(refused()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Fault case 97.
    #[test]
    fn only_the_frontend_is_returned_to() {
        let origins = ["https://freehunt.fr".to_owned(), "https://www.freehunt.fr".to_owned()];
        for good in [
            "https://freehunt.fr/project/payment-success?session_id={CHECKOUT_SESSION_ID}&job_posting_id=1",
            "https://freehunt.fr:443/",
            "https://www.freehunt.fr",
            "HTTPS://FREEHUNT.FR/x",
        ] {
            assert!(check_return_url(&origins, "successUrl", good).is_ok(), "{good}");
        }
        for bad in [
            "https://evil",
            "javascript:alert(1)",
            "//evil",
            "https://freehunt.fr@evil",
            "https://freehunt.fr.evil/",
            "https://user@freehunt.fr/",
            "http://freehunt.fr/",
            "https://freehunt.fr:444/",
            "https:\\\\freehunt.fr",
            "https://evil\\@freehunt.fr/",
            "https://freehunt.fr /",
            "/relative",
            "",
            "null",
            "data:text/html,x",
            "blob:https://freehunt.fr/1",
        ] {
            assert!(check_return_url(&origins, "successUrl", bad).is_err(), "{bad}");
        }
    }
}
