//! The payout account of a freelance: made once, stored at once; Stripe's form fills it in.

use axum::{
    extract::{FromRequestParts, State},
    http::{StatusCode, request::Parts},
};
use freehunt_domain::{
    freelances::queries::find_freelance,
    ids::FreelanceId,
    payments::accounts::{
        AccountState, AccountStep, next_account_step, offer_form_again, record_account_created,
        record_account_key_spent, record_account_state, record_form_opened,
    },
    policy,
    users::Role,
};
use freehunt_jobs::account_state;
use freehunt_stripe::{NewAccount, StripeError};
use serde::{Deserialize, Serialize};

use crate::{
    error::{ApiError, ApiResult, ErrorBody, FORBIDDEN},
    extract::{Access, AllowedBody, Created, Field, Rule, Session, Unknown, Validate},
    routes::freelances::{own_view, views::OwnFreelance},
    state::AppState,
};

/// A session with the role FREELANCE.
#[derive(Debug)]
pub struct FreelanceUser(Session);

impl Access for FreelanceUser {
    type Claim = Session;

    async fn claim(parts: &mut Parts, state: &AppState) -> ApiResult<Session> {
        let session = Session::from_request_parts(parts, state).await?;
        ApiError::check(policy::with_role(Some(session.actor()), Role::Freelance), "")?;
        Ok(session)
    }

    async fn grant(session: Session, _state: &AppState) -> ApiResult<Self> {
        Ok(Self(session))
    }
}

/// Whose account is to be connected.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct CreateAccountConnection {
    /// The session's own profile.
    #[schema(example = "3f2b8c1e-6d4a-4b7e-9c05-1a2d3e4f5a6b")]
    freelance_id: String,
    /// Not used: the session's own address is.
    #[serde(rename = "email")]
    #[schema(example = "alice@example.org")]
    _email: String,
    /// Not used: the profile's name is.
    #[serde(rename = "name")]
    #[schema(example = "Alice Martin")]
    _name: String,
}

impl Validate for CreateAccountConnection {
    const FIELDS: &'static [Field] = &[
        Field::required("freelanceId", &[Rule::IsString, Rule::NotEmpty]),
        // The session's own address and the profile's name are used.
        Field::required("email", &[Rule::IsString, Rule::NotEmpty]),
        Field::required("name", &[Rule::IsString, Rule::NotEmpty]),
    ];
}

/// Where the account is filled in.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct AccountConnection {
    account: ConnectedAccount,
    /// Stripe's form; valid once and for minutes.
    #[schema(example = "https://connect.stripe.com/setup/e/acct_1234567890/x")]
    account_link: String,
    #[schema(example = "acct_1234567890")]
    stripe_account_id: String,
}

#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct ConnectedAccount {
    #[schema(example = "acct_1234567890")]
    id: String,
}

/// Gives the link to the form of one's payout account, which is made first if need be.
#[utoipa::path(post, path = "/stripe/create-account-connection", tag = "stripe",
    request_body = CreateAccountConnection, security(("session" = [])), responses(
        (status = 201, description = "The link", body = AccountConnection),
        (status = 409, description = "The profile carries an account that was not made for it", body = ErrorBody),
        (status = 502, description = "Stripe refused", body = ErrorBody),
        (status = 503, description = "Stripe has not answered: ask again", body = ErrorBody)))]
pub async fn create_account_connection(
    State(state): State<AppState>,
    AllowedBody(FreelanceUser(session), body): AllowedBody<FreelanceUser, CreateAccountConnection>,
) -> ApiResult<Created<AccountConnection>> {
    session.begin_account_change(&state)?;
    let step = own_step(&state, &session, &body.freelance_id).await?;
    let account = ensure_account(&state, &session, step).await?;
    let profile = format!("{}/profile/freelance", state.config.frontend.origin());
    let refresh_url = format!("{profile}?stripe_error=refresh");
    let return_url = format!("{profile}?stripe_return=success&account_id={account}");
    let link = state.stripe.create_account_link(&account, &refresh_url, &return_url).await.map_err(failure)?;
    record_form_opened(&state.pool, &account).await?;
    Ok(Created(AccountConnection {
        account: ConnectedAccount { id: account.clone() },
        account_link: link.url,
        stripe_account_id: account,
    }))
}

/// The claimed profile must be the session's own.
async fn own_step(state: &AppState, session: &Session, claimed: &str) -> ApiResult<AccountStep> {
    let step = next_account_step(&state.pool, session.user_id).await?;
    let step = step.ok_or_else(|| ApiError::forbidden(FORBIDDEN))?;
    let (AccountStep::Known { freelance, .. }
    | AccountStep::Adopt { freelance, .. }
    | AccountStep::Create { freelance, .. }) = &step;
    if claimed.eq_ignore_ascii_case(&freelance.to_string()) { Ok(step) } else { Err(ApiError::forbidden(FORBIDDEN)) }
}

async fn ensure_account(state: &AppState, session: &Session, step: AccountStep) -> ApiResult<String> {
    match step {
        AccountStep::Known { account, .. } => Ok(account),
        AccountStep::Adopt { account, .. } => {
            let known = state.stripe.get_account(&account).await.map_err(failure)?;
            if record_account_state(&state.pool, &account_state(&known)).await? {
                Ok(account)
            } else {
                Err(ApiError::conflict(
                    "The Stripe account of this profile was not made for it. Please contact support.",
                ))
            }
        }
        AccountStep::Create { freelance, name, key } => create_account(state, session, freelance, name, &key).await,
    }
}

/// The key makes a repeated request find the account of a lost answer.
async fn create_account(
    state: &AppState,
    session: &Session,
    freelance: FreelanceId,
    name: String,
    key: &str,
) -> ApiResult<String> {
    let new = NewAccount { email: session.email.clone(), freelance_id: freelance.to_string(), name };
    match state.stripe.create_account(&new, key).await {
        Ok(account) => {
            record_account_created(&state.pool, freelance, &account.id).await?;
            record_account_state(&state.pool, &account_state(&account)).await?;
            Ok(account.id)
        }
        Err(error) => {
            // A stored failure, a refusal or a changed name would be answered again: an account without money in it
            // may be left behind, which harms nobody.
            if error.is_final() || error.may_be_stored() {
                record_account_key_spent(&state.pool, freelance, key).await?;
            }
            Err(failure(error))
        }
    }
}

/// Asks Stripe how an account stands, and enters it: what is known of it may be old.
pub(crate) async fn refresh_account(state: &AppState, account: &str) -> ApiResult<()> {
    let known = match state.stripe.get_account(account).await {
        Ok(account) => account_state(&account),
        Err(error) if error.is_final() => {
            tracing::warn!(%error, "a payout account is gone");
            AccountState::gone(account)
        }
        Err(error) => return Err(ApiError::unavailable(error)),
    };
    record_account_state(&state.pool, &known).await?;
    Ok(())
}

/// A refusal is Stripe's and not the client's; anything else may go better later.
fn failure(error: StripeError) -> ApiError {
    if error.is_final() {
        tracing::error!(%error, "Stripe refused a call about a payout account");
        return ApiError::new(StatusCode::BAD_GATEWAY, "The payment provider refused the request");
    }
    ApiError::unavailable(error)
}

/// Which account was filled in.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ConfirmAccountActivation {
    /// The session's own profile.
    #[schema(example = "3f2b8c1e-6d4a-4b7e-9c05-1a2d3e4f5a6b")]
    freelance_id: String,
    /// The stored account.
    #[schema(example = "acct_1234567890")]
    account_id: String,
}

impl Validate for ConfirmAccountActivation {
    const FIELDS: &'static [Field] = &[
        Field::required("freelanceId", &[Rule::IsString, Rule::NotEmpty]),
        Field::required("accountId", &[Rule::IsString, Rule::NotEmpty]),
    ];
    const UNKNOWN: Unknown = Unknown::Ignore;
}

/// The account is usable.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct AccountActivated {
    success: bool,
    freelance: OwnFreelance,
    #[schema(example = "Compte Stripe activé avec succès")]
    message: &'static str,
}

/// Asks Stripe whether one's payout account is filled in.
#[utoipa::path(post, path = "/stripe/confirm-account-activation", tag = "stripe",
    request_body = ConfirmAccountActivation, security(("session" = [])), responses(
        (status = 201, description = "It is", body = AccountActivated),
        (status = 409, description = "Another account, or one that is not filled in", body = ErrorBody),
        (status = 503, description = "Stripe has not answered: ask again", body = ErrorBody)))]
pub async fn confirm_account_activation(
    State(state): State<AppState>,
    AllowedBody(FreelanceUser(session), body): AllowedBody<FreelanceUser, ConfirmAccountActivation>,
) -> ApiResult<Created<AccountActivated>> {
    session.begin_account_change(&state)?;
    let step = own_step(&state, &session, &body.freelance_id).await?;
    let (AccountStep::Known { freelance, account } | AccountStep::Adopt { freelance, account }) = step else {
        return Err(ApiError::conflict("No Stripe account was created for this profile"));
    };
    if account != body.account_id {
        return Err(ApiError::conflict("This is not the Stripe account of this profile"));
    }
    let known: AccountState = account_state(&state.stripe.get_account(&account).await.map_err(failure)?);
    if !record_account_state(&state.pool, &known).await? || !known.details_submitted {
        offer_form_again(&state.pool, &account).await?;
        return Err(ApiError::conflict("Le compte Stripe n'est pas encore activé"));
    }
    let mut connection = state.connection().await?;
    let freelance = find_freelance(&mut connection, freelance).await?.ok_or(sqlx::Error::RowNotFound)?;
    let freelance = own_view(&mut connection, freelance).await?;
    Ok(Created(AccountActivated { success: true, freelance, message: "Compte Stripe activé avec succès" }))
}
