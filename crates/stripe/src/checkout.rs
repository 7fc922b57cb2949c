//! Checkout Sessions: how a company pays for a posting; and the payment a session led to.
//!
//! A session is built here with every parameter fixed but the ones of [`CheckoutRequest`], so that
//! no caller can forget the tax behaviour or the metadata that reconciliation depends on.

use std::collections::{BTreeMap, HashMap};

use stripe::StripeRequest;
use stripe_checkout::checkout_session::{
    CreateCheckoutSession, CreateCheckoutSessionAdaptivePricing as AdaptivePricing,
    CreateCheckoutSessionAllowedPaymentMethodTypes as MethodType, CreateCheckoutSessionAutomaticTax as AutomaticTax,
    CreateCheckoutSessionInvoiceCreation as InvoiceCreation, CreateCheckoutSessionLineItems as LineItem,
    CreateCheckoutSessionLineItemsPriceData as PriceData,
    CreateCheckoutSessionLineItemsPriceDataTaxBehavior as TaxBehavior,
    CreateCheckoutSessionPaymentIntentData as PaymentIntentData, ExpireCheckoutSession, ListCheckoutSession,
    ProductData, RetrieveCheckoutSession,
};
use stripe_core::payment_intent::RetrievePaymentIntent;
use stripe_shared::CheckoutSessionMode;
use stripe_types::{Currency, RangeQueryTs};

use crate::{
    checkout_session::{CheckoutSession, SessionStatus},
    client::{PAGE_SIZE, Stripe, check_amount, check_id, keyed, keyed_once},
    error::StripeError,
};

/// `metadata.type` of every session made here.
pub const PAYMENT_TYPE: &str = "job_posting_payment";

/// What a company is asked to pay.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckoutRequest {
    /// The posting paid for; also the transfer group.
    pub job_posting_id: String,
    /// The company that pays.
    pub company_id: String,
    /// Name of the product on Stripe's page.
    pub title: String,
    /// Price without tax, in euro cents; positive.
    pub amount_cents: i64,
    /// Address the receipt goes to.
    pub customer_email: String,
    /// Where the browser goes after payment.
    pub success_url: String,
    /// Where the browser goes when the payer gives up.
    pub cancel_url: String,
    /// End of the session, in Unix seconds; 30 minutes to 24 hours from now. It must be the same
    /// for every repetition with one key.
    pub expires_at: i64,
    /// Further metadata; the names written here (`jobPostingId`, `companyId`, `type`) cannot be overridden.
    pub metadata: BTreeMap<String, String>,
}

/// The payment a session led to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PaymentIntent {
    /// `pi_…`
    pub id: String,
    /// `ch_…`: the charge transfers are made from.
    pub latest_charge: Option<String>,
    /// Cents received.
    pub amount_received: i64,
    /// Stripe's word, `succeeded` when paid.
    pub status: String,
    /// Whether it is real money.
    pub livemode: bool,
}

impl Stripe {
    /// Makes a session a company can pay a posting with.
    ///
    /// # Errors
    /// See [`StripeError`].
    pub async fn create_checkout_session(
        &self,
        request: &CheckoutRequest,
        key: &str,
    ) -> Result<CheckoutSession, StripeError> {
        check_amount(request.amount_cents)?;
        let strategy = keyed(key)?;
        let body = checkout_parameters(request);
        let session = self
            .call("create checkout session", || body.customize().request_strategy(strategy.clone()).send(self.client()))
            .await?;
        Ok(session.into())
    }

    /// Reads a session.
    ///
    /// # Errors
    /// See [`StripeError`].
    pub async fn get_checkout_session(&self, id: &str) -> Result<CheckoutSession, StripeError> {
        check_id("the session", id)?;
        let request = RetrieveCheckoutSession::new(id);
        let session = self.call("get checkout session", || request.send(self.client())).await?;
        Ok(session.into())
    }

    /// The newest session made at `created_from` (Unix seconds) or later that carries this metadata: how a session is
    /// found whose making was answered with a failure.
    ///
    /// # Errors
    /// See [`StripeError`].
    pub async fn find_checkout_session(
        &self,
        metadata: (&str, &str),
        created_from: i64,
    ) -> Result<Option<CheckoutSession>, StripeError> {
        let mut last: Option<String> = None;
        loop {
            let mut request = ListCheckoutSession::new().created(RangeQueryTs::gte(created_from)).limit(PAGE_SIZE);
            if let Some(last) = last.take() {
                request = request.starting_after(last);
            }
            let page = self.call("list checkout sessions", || request.send(self.client())).await?;
            let is_last = !page.has_more || page.data.is_empty();
            last = page.data.last().map(|session| session.id.to_string());
            let mut sessions = page.data.into_iter().map(CheckoutSession::from);
            let found =
                sessions.find(|session| session.metadata.get(metadata.0).is_some_and(|value| value == metadata.1));
            if found.is_some() || is_last {
                return Ok(found);
            }
        }
    }

    /// Every session made at `created_from` (Unix seconds) or later, newest first.
    ///
    /// # Errors
    /// See [`StripeError`].
    pub async fn list_checkout_sessions_since(&self, created_from: i64) -> Result<Vec<CheckoutSession>, StripeError> {
        let mut sessions: Vec<CheckoutSession> = Vec::new();
        loop {
            let mut request = ListCheckoutSession::new().created(RangeQueryTs::gte(created_from)).limit(PAGE_SIZE);
            if let Some(last) = sessions.last() {
                request = request.starting_after(last.id.clone());
            }
            let page = self.call("list checkout sessions", || request.send(self.client())).await?;
            let is_last = !page.has_more || page.data.is_empty();
            sessions.extend(page.data.into_iter().map(CheckoutSession::from));
            if is_last {
                return Ok(sessions);
            }
        }
    }

    /// Ends a session so that it can no longer be paid. A session that has ended before is returned
    /// as it is.
    ///
    /// # Errors
    /// [`StripeError::Refused`] with [`StripeError::is_session_complete`] when the session has been
    /// completed, so possibly paid, before; else see [`StripeError`].
    pub async fn expire_checkout_session(&self, id: &str) -> Result<CheckoutSession, StripeError> {
        check_id("the session", id)?;
        let request = ExpireCheckoutSession::new(id);
        let strategy = keyed_once();
        let answer = self
            .call("expire checkout session", || {
                request.customize().request_strategy(strategy.clone()).send(self.client())
            })
            .await;
        match answer {
            Ok(session) => Ok(session.into()),
            // Stripe tells "not open any more" by a sentence only: the session itself says why.
            Err(refusal) if refusal.status() == Some(400) => {
                let session = self.get_checkout_session(id).await?;
                match session.status {
                    SessionStatus::Complete => Err(StripeError::session_complete(id)),
                    SessionStatus::Expired => Ok(session),
                    SessionStatus::Open | SessionStatus::Unknown => Err(refusal),
                }
            }
            Err(error) => Err(error),
        }
    }

    /// Reads a payment.
    ///
    /// # Errors
    /// See [`StripeError`].
    pub async fn get_payment_intent(&self, id: &str) -> Result<PaymentIntent, StripeError> {
        check_id("the payment", id)?;
        let request = RetrievePaymentIntent::new(id);
        let payment = self.call("get payment intent", || request.send(self.client())).await?;
        Ok(PaymentIntent {
            id: payment.id.to_string(),
            latest_charge: payment.latest_charge.map(|charge| charge.id().to_string()),
            amount_received: payment.amount_received,
            status: payment.status.to_string(),
            livemode: payment.livemode,
        })
    }
}

fn checkout_parameters(request: &CheckoutRequest) -> CreateCheckoutSession {
    let mut metadata: HashMap<String, String> = request.metadata.clone().into_iter().collect();
    metadata.insert("jobPostingId".to_owned(), request.job_posting_id.clone());
    metadata.insert("companyId".to_owned(), request.company_id.clone());
    metadata.insert("type".to_owned(), PAYMENT_TYPE.to_owned());

    let mut price = PriceData::new(Currency::EUR);
    price.unit_amount = Some(request.amount_cents);
    price.product_data = Some(ProductData::new(request.title.clone()));
    // Without an explicit behaviour the dashboard's default applies; an inclusive one would make the
    // platform owe the tax out of the freelance's money.
    price.tax_behavior = Some(TaxBehavior::Exclusive);
    let mut item = LineItem::new();
    item.price_data = Some(price);
    item.quantity = Some(1);

    let mut payment = PaymentIntentData::new();
    payment.transfer_group = Some(request.job_posting_id.clone());
    payment.metadata = Some(metadata.clone());

    CreateCheckoutSession::new()
        .mode(CheckoutSessionMode::Payment)
        // Cards only, since they are synchronous: a completed session is a paid one. The version of
        // the interface spoken here has this parameter in place of `payment_method_types`.
        .allowed_payment_method_types(vec![MethodType::Card])
        .line_items(vec![item])
        .automatic_tax(AutomaticTax::new(true))
        // In euros, whatever the dashboard's default: another currency would not be the payment that was asked for.
        .adaptive_pricing(AdaptivePricing { enabled: Some(false) })
        .invoice_creation(InvoiceCreation::new(true))
        .customer_email(request.customer_email.clone())
        .client_reference_id(request.job_posting_id.clone())
        .metadata(metadata)
        .payment_intent_data(payment)
        .success_url(request.success_url.clone())
        .cancel_url(request.cancel_url.clone())
        .expires_at(request.expires_at)
}
