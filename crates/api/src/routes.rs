//! The whole API, a line per path. Every handler carries its path, shapes and errors in its own macro, so that this
//! table, the router and the OpenAPI document are one thing.

pub mod auth;
pub mod candidates;
pub mod checkpoint_progress;
pub mod checkpoints;
pub mod companies;
pub mod conversations;
pub mod documents;
pub mod freelances;
pub mod health;
pub mod job_posting_payments;
pub mod job_postings;
pub mod messages;
pub mod oidc;
pub mod profiles;
pub mod projects;
pub mod skills;
pub mod stripe;
pub mod stripe_webhook;
pub mod upload;
pub mod users;

use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    error::{ApiError, ApiResult},
    extract::Session,
    state::AppState,
};

pub fn router() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        // auth
        .routes(routes!(auth::log_in))
        .routes(routes!(auth::register))
        .routes(routes!(auth::get_me))
        .routes(routes!(auth::log_out))
        // OpenID Connect
        .routes(routes!(oidc::begin_login))
        .routes(routes!(oidc::finish_login))
        .routes(routes!(oidc::log_out))
        .routes(routes!(oidc::provider_log_out))
        // users
        .routes(routes!(users::create_user, users::list_users))
        .routes(routes!(users::get_user, users::update_user, users::delete_user))
        .routes(routes!(users::get_user_by_email))
        // companies
        .routes(routes!(companies::create_company, companies::list_companies))
        .routes(routes!(companies::get_company, companies::update_company, companies::delete_company))
        .routes(routes!(companies::get_company_of_user))
        // freelances
        .routes(routes!(freelances::create_freelance, freelances::list_freelances))
        .routes(routes!(freelances::get_freelance, freelances::update_freelance, freelances::delete_freelance))
        .routes(routes!(freelances::get_freelance_of_user))
        .routes(routes!(freelances::search_freelances))
        // skills
        .routes(routes!(skills::create_skill, skills::list_skills))
        .routes(routes!(skills::get_skill, skills::update_skill, skills::delete_skill))
        // job postings
        .routes(routes!(job_postings::create_job_posting, job_postings::list_job_postings))
        .routes(routes!(
            job_postings::get_job_posting,
            job_postings::update_job_posting,
            job_postings::delete_job_posting
        ))
        .routes(routes!(job_postings::search_job_postings))
        .routes(routes!(job_postings::list_job_postings_of_company))
        .routes(routes!(job_postings::list_job_postings_of_user))
        .routes(routes!(job_postings::list_job_postings_of_user_by_status))
        .routes(routes!(job_postings::get_project_of_job_posting))
        // job posting payments
        .routes(routes!(job_posting_payments::record_payment))
        .routes(routes!(job_posting_payments::create_payment))
        .routes(routes!(job_posting_payments::publish_job_posting))
        .routes(routes!(job_posting_payments::cancel_job_posting))
        .routes(routes!(job_posting_payments::can_be_cancelled))
        // checkpoints
        .routes(routes!(checkpoints::create_checkpoint))
        .routes(routes!(checkpoints::list_checkpoints_of_job_posting))
        .routes(routes!(checkpoints::get_checkpoint, checkpoints::delete_checkpoint))
        // checkpoint progress
        .routes(routes!(checkpoint_progress::update_checkpoint))
        // candidates
        .routes(routes!(candidates::create_candidate))
        .routes(routes!(candidates::list_candidates_of_company))
        .routes(routes!(candidates::list_candidates_of_job_posting))
        .routes(routes!(candidates::get_candidate, candidates::update_candidate, candidates::delete_candidate))
        .routes(routes!(candidates::get_candidate_of_freelance))
        .routes(routes!(candidates::decide_candidate))
        // projects
        .routes(routes!(projects::create_project, projects::list_projects))
        .routes(routes!(projects::get_project, projects::update_project, projects::delete_project))
        .routes(routes!(projects::list_projects_of_company))
        .routes(routes!(projects::list_projects_of_freelance))
        .routes(routes!(projects::project_exists))
        // conversations
        .routes(routes!(conversations::create_conversation, conversations::list_conversations))
        .routes(routes!(conversations::get_conversation, conversations::delete_conversation))
        .routes(routes!(conversations::list_conversations_of_user))
        .routes(routes!(conversations::get_conversation_of_project))
        .routes(routes!(conversations::find_or_create_conversation))
        // messages
        .routes(routes!(messages::create_message, messages::list_messages))
        .routes(routes!(messages::get_message, messages::update_message, messages::delete_message))
        .routes(routes!(messages::list_messages_of_conversation))
        // documents
        .routes(routes!(documents::create_document))
        .routes(routes!(documents::get_avatar_of_user))
        .routes(routes!(documents::delete_document))
        // upload
        .routes(routes!(upload::upload_file, upload::list_uploads))
        .routes(routes!(upload::update_avatar))
        // stripe
        .routes(routes!(stripe::create_checkout_session))
        .routes(routes!(stripe::create_account_connection))
        .routes(routes!(stripe::confirm_account_activation))
        .routes(routes!(stripe::activate_account_connection))
        .routes(routes!(stripe::create_quote))
        .routes(routes!(stripe::create_product))
        .routes(routes!(stripe::get_quote_pdf))
        .routes(routes!(stripe::preview_transfer_fees))
        // stripe webhook
        .routes(routes!(stripe_webhook::receive_webhook))
        // health
        .routes(routes!(health::health))
}

/// The answer of an endpoint that stays mounted for nobody.
fn closed(session: &Session) -> ApiResult<()> {
    ApiError::check(freehunt_domain::policy::closed(Some(session.actor())), "")
}
