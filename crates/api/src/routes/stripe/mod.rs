//! `/stripe`: payout accounts, the fee preview, and the endpoints of the original that are closed.

mod accounts;

use freehunt_domain::{Cents, money::TransferFees};
use serde::{Deserialize, Serialize};

pub use self::accounts::*;
use crate::{
    error::{ApiResult, ErrorBody},
    extract::{Created, Field, Json, Rule, Session, Unknown, ValidBody, Validate},
    number::Number,
    routes::closed,
};

/// An amount whose fees are asked for.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
pub struct PreviewTransferFees {
    /// In euros.
    #[schema(example = 100)]
    amount: f64,
}

impl Validate for PreviewTransferFees {
    const FIELDS: &'static [Field] =
        &[Field::required("amount", &[Rule::IsNumber, Rule::Min(0.0), Rule::Max(LARGEST_PREVIEW)])];
    const UNKNOWN: Unknown = Unknown::Ignore;
}

/// In euros; far above any payment, and exact in cents.
const LARGEST_PREVIEW: f64 = 1e13;

/// What is left of an amount.
#[derive(Debug, PartialEq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct TransferFeesPreview {
    /// In euros, as asked.
    gross_amount: Number,
    /// In euros.
    #[schema(example = 3.15)]
    stripe_fee: Number,
    /// In euros, never below zero.
    #[schema(example = 96.85)]
    net_amount: Number,
    /// The same as `stripeFee`.
    #[schema(example = 3.15)]
    fees_in_euros: Number,
}

impl TransferFeesPreview {
    fn of(euros: f64) -> Self {
        // As the original: half a cent is rounded up.
        #[expect(clippy::cast_possible_truncation, reason = "bounded by LARGEST_PREVIEW")]
        let cents = (euros * 100.0 + 0.5).floor() as i64;
        let fees = TransferFees::of(Cents(cents));
        Self {
            gross_amount: Number(euros),
            stripe_fee: fees.fee.into(),
            net_amount: fees.net.into(),
            fees_in_euros: fees.fee.into(),
        }
    }
}

/// What a transfer of an amount costs. Arithmetic only.
#[utoipa::path(post, path = "/stripe/preview-transfer-fees", tag = "stripe", request_body = PreviewTransferFees,
    security(("session" = [])), responses((status = 201, description = "The fees", body = TransferFeesPreview)))]
pub async fn preview_transfer_fees(
    _session: Session,
    ValidBody(body): ValidBody<PreviewTransferFees>,
) -> ApiResult<Created<TransferFeesPreview>> {
    Ok(Created(TransferFeesPreview::of(body.amount)))
}

/// Closed: a payment page is opened by `POST /job-postings/{id}/create-payment`.
#[utoipa::path(post, path = "/stripe/create-checkout-session", tag = "stripe", security(("session" = [])),
    responses((status = 403, description = "Closed", body = ErrorBody)))]
pub async fn create_checkout_session(session: Session) -> ApiResult<()> {
    closed(&session)
}

/// Closed: `POST /stripe/create-account-connection` gives the link.
#[utoipa::path(post, path = "/stripe/activate-account-connection", tag = "stripe", security(("session" = [])),
    responses((status = 403, description = "Closed", body = ErrorBody)))]
pub async fn activate_account_connection(session: Session) -> ApiResult<()> {
    closed(&session)
}

/// Closed: nobody makes quotes at Stripe.
#[utoipa::path(post, path = "/stripe/create-quote", tag = "stripe", security(("session" = [])),
    responses((status = 403, description = "Closed", body = ErrorBody)))]
pub async fn create_quote(session: Session) -> ApiResult<()> {
    closed(&session)
}

/// Closed: nobody makes products at Stripe.
#[utoipa::path(post, path = "/stripe/create-product", tag = "stripe", security(("session" = [])),
    responses((status = 403, description = "Closed", body = ErrorBody)))]
pub async fn create_product(session: Session) -> ApiResult<()> {
    closed(&session)
}

/// Closed: quotes are not anybody's to read.
#[utoipa::path(get, path = "/stripe/get-quote-pdf/{quoteId}", tag = "stripe", security(("session" = [])),
    params(("quoteId" = String, Path)), responses((status = 403, description = "Closed", body = ErrorBody)))]
pub async fn get_quote_pdf(session: Session) -> ApiResult<Json<()>> {
    closed(&session).map(Json)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn previews_are_the_recorded_ones() {
        for (gross, fee, net) in [
            (100.0, 3.15, 96.85),
            (1.0, 0.28, 0.72),
            (0.0, 0.25, 0.0),
            (0.005, 0.25, 0.0),
            (1234.567, 36.05, 1198.52),
            (19.99, 0.83, 19.16),
            (10.0, 0.54, 9.46),
        ] {
            let preview = TransferFeesPreview::of(gross);
            assert_eq!((preview.stripe_fee, preview.net_amount), (Number(fee), Number(net)), "{gross}");
        }
    }

    /// Fault case 125.
    #[test]
    fn every_preview_is_the_originals() {
        for cents in 0..=1_000_000_i64 {
            let amount = Cents(cents).to_euros();
            // What the original computes, in JavaScript's floating point.
            let rounded = (amount * 100.0 + 0.5).floor();
            let fee = (rounded * 0.029 + 0.5).floor() + 25.0;
            let net = (rounded - fee).max(0.0);
            let preview = TransferFeesPreview::of(amount);
            assert_eq!((preview.stripe_fee.0, preview.net_amount.0), (fee / 100.0, net / 100.0), "{cents} cents");
        }
    }
}
