//! Checkout Sessions: created with Stripe's checks, open until paid or expired.
//!
//! Only mode `payment` with prices given inline. What paying books is in `payments`.

use serde_json::{Value, json};

use super::{
    api::Call,
    books::{CheckoutSession, LineItem, SessionStatus},
    error::StripeError,
    form::{Form, missing},
    lists::{LIST_PARAMETERS, page, with_nulls},
    state::{State, new_id},
};

type Result<T> = std::result::Result<T, StripeError>;

/// Cents below which Stripe takes no payment in euros, and above which it takes none at all.
pub(super) const LEAST_AMOUNT: i64 = 50;
pub(super) const GREATEST_AMOUNT: i64 = 99_999_999;
const SHORTEST_LIFE: i64 = 30 * 60;
const LONGEST_LIFE: i64 = 24 * 60 * 60;
/// The caller's clock may be this many seconds off before a limit of `expires_at` is enforced.
const CLOCK_TOLERANCE: i64 = 5;
const REFERENCE_CHARACTERS: usize = 200;
const METHOD_TYPES: [&str; 8] =
    ["card", "link", "bancontact", "sepa_debit", "ideal", "paypal", "klarna", "customer_balance"];

const CREATE_PARAMETERS: [&str; 61] = [
    "mode",
    "success_url",
    "cancel_url",
    "client_reference_id",
    "customer",
    "customer_email",
    "customer_creation",
    "currency",
    "expires_at",
    "locale",
    "submit_type",
    "ui_mode",
    "allow_promotion_codes",
    "billing_address_collection",
    "expand[]",
    "metadata[*]",
    "allowed_payment_method_types[]",
    "excluded_payment_method_types[]",
    "payment_method_options[**]",
    "payment_method_configuration",
    "phone_number_collection[enabled]",
    "tax_id_collection[enabled]",
    "tax_id_collection[required]",
    "custom_text[**]",
    "consent_collection[**]",
    "adaptive_pricing[enabled]",
    "automatic_tax[enabled]",
    "automatic_tax[liability][**]",
    "invoice_creation[enabled]",
    "invoice_creation[invoice_data][account_tax_ids][]",
    "invoice_creation[invoice_data][custom_fields][**]",
    "invoice_creation[invoice_data][description]",
    "invoice_creation[invoice_data][footer]",
    "invoice_creation[invoice_data][issuer][**]",
    "invoice_creation[invoice_data][metadata][*]",
    "invoice_creation[invoice_data][rendering_options][**]",
    "payment_intent_data[application_fee_amount]",
    "payment_intent_data[capture_method]",
    "payment_intent_data[description]",
    "payment_intent_data[metadata][*]",
    "payment_intent_data[on_behalf_of]",
    "payment_intent_data[receipt_email]",
    "payment_intent_data[setup_future_usage]",
    "payment_intent_data[statement_descriptor]",
    "payment_intent_data[statement_descriptor_suffix]",
    "payment_intent_data[transfer_data][**]",
    "payment_intent_data[transfer_group]",
    "line_items[][quantity]",
    "line_items[][metadata][*]",
    "line_items[][price]",
    "line_items[][tax_rates][]",
    "line_items[][price_data][currency]",
    "line_items[][price_data][product]",
    "line_items[][price_data][unit_amount]",
    "line_items[][price_data][tax_behavior]",
    "line_items[][price_data][product_data][name]",
    "line_items[][price_data][product_data][description]",
    "line_items[][price_data][product_data][images][]",
    "line_items[][price_data][product_data][metadata][*]",
    "line_items[][price_data][product_data][tax_code]",
    "line_items[][price_data][product_data][unit_label]",
];

impl State {
    pub(super) fn create_session(&mut self, call: &Call) -> Result<Value> {
        let form = &call.form;
        form.allow(&CREATE_PARAMETERS)?;
        match form.one_of("mode", &["payment", "setup", "subscription"])? {
            Some("payment") => {}
            Some(other) => {
                return Err(StripeError::invalid_without_code("mode", format!("Mode {other} is not available here")));
            }
            None => return Err(missing("mode")),
        }
        if let Some(customer) = form.text("customer")? {
            return Err(StripeError::no_such("customer", customer, "customer"));
        }
        let now = self.now();
        let automatic_tax = form.boolean("automatic_tax[enabled]")?;
        let tax_basis_points = if automatic_tax { self.run.tax_basis_points } else { 0 };
        let line_items = read_line_items(form, tax_basis_points)?;
        let total = |amount: fn(&LineItem) -> i64| line_items.iter().map(amount).fold(0_i64, i64::saturating_add);
        let session = CheckoutSession {
            id: new_id(if self.run.livemode { "cs_live_a1" } else { "cs_test_a1" }, 56),
            status: SessionStatus::Open,
            paid: false,
            amount_subtotal: total(|item| item.amount_subtotal),
            amount_tax: total(|item| item.amount_tax),
            amount_total: total(|item| item.amount_total),
            currency: "eur".to_owned(),
            metadata: form.metadata("metadata")?,
            client_reference_id: client_reference(form)?,
            customer_email: email(form, "customer_email")?,
            success_url: form.required_url("success_url")?,
            cancel_url: form.url("cancel_url")?,
            payment_method_types: method_types(form)?,
            automatic_tax,
            invoice_creation: form.boolean("invoice_creation[enabled]")?,
            locale: form.text("locale")?.map(str::to_owned),
            intent_metadata: form.metadata("payment_intent_data[metadata]")?,
            intent_description: form.text("payment_intent_data[description]")?.map(str::to_owned),
            transfer_group: form.text("payment_intent_data[transfer_group]")?.map(str::to_owned),
            payment_intent: None,
            invoice: None,
            created: now,
            expires_at: expiry(form, now)?,
            idempotency_key: call.key.clone(),
            line_items,
        };
        check_total(session.amount_total)?;
        let answer = self.session_json(&session);
        self.sessions.insert(session);
        Ok(answer)
    }

    pub(super) fn expire_session(&mut self, id: &str, form: &Form) -> Result<Value> {
        form.allow(&["expand[]"])?;
        let session = self.sessions.get_mut(id).ok_or_else(|| StripeError::not_found("checkout.session", id))?;
        if session.status != SessionStatus::Open {
            return Err(StripeError::refused(
                None,
                format!(
                    "Only Checkout Sessions with a status in [\"open\"] can be expired. This Session has a status of `{}`.",
                    session.status.as_str()
                ),
            ));
        }
        session.status = SessionStatus::Expired;
        let answer = self.object(id).unwrap_or_default();
        self.emit("checkout.session.expired", answer.clone());
        Ok(answer)
    }

    /// Expires the open sessions whose time is over. True when there was one.
    pub(super) fn expire_due_sessions(&mut self) -> bool {
        let now = self.now();
        let open = self.sessions.rows().iter().filter(|session| session.status == SessionStatus::Open);
        let due: Vec<String> = open.filter(|session| session.expires_at <= now).map(|s| s.id.clone()).collect();
        for id in &due {
            // They are open and exist, so nothing refuses.
            let _expired = self.expire_session(id, &Form::default());
        }
        !due.is_empty()
    }

    pub(super) fn list_sessions(&self, form: &Form) -> Result<Value> {
        let own = ["payment_intent", "status", "customer_details[email]", "customer"];
        form.allow(&[&own[..], &LIST_PARAMETERS[..]].concat())?;
        let status = form.one_of("status", &["open", "complete", "expired"])?;
        let (intent, email) = (form.text("payment_intent")?, form.text("customer_details[email]")?);
        let keep = |session: &CheckoutSession| {
            status.is_none_or(|status| session.status.as_str() == status)
                && intent.is_none_or(|intent| session.payment_intent.as_deref() == Some(intent))
                && email.is_none_or(|email| session.customer_email.as_deref() == Some(email))
        };
        page(&self.sessions, form, "/v1/checkout/sessions", |row| row.created, keep, |row| self.session_json(row))
    }

    pub(super) fn session_json(&self, session: &CheckoutSession) -> Value {
        let open = session.status == SessionStatus::Open;
        let tax_status = if session.automatic_tax { json!("complete") } else { Value::Null };
        with_nulls(
            json!({
                "id": session.id,
                "object": "checkout.session",
                "amount_subtotal": session.amount_subtotal,
                "amount_total": session.amount_total,
                "automatic_tax": {
                    "enabled": session.automatic_tax, "liability": null, "provider": null, "status": tax_status,
                },
                "cancel_url": session.cancel_url,
                "client_reference_id": session.client_reference_id,
                "created": session.created,
                "currency": session.currency,
                "custom_fields": [],
                "custom_text": {
                    "after_submit": null, "shipping_address": null, "submit": null, "terms_of_service_acceptance": null,
                },
                "customer_creation": "if_required",
                "customer_details": customer_details(session),
                "customer_email": session.customer_email,
                "expires_at": session.expires_at,
                "invoice": session.invoice,
                "invoice_creation": {
                    "enabled": session.invoice_creation,
                    "invoice_data": {
                        "account_tax_ids": null, "custom_fields": null, "description": null, "footer": null,
                        "issuer": null, "metadata": {}, "rendering_options": null,
                    },
                },
                "livemode": self.run.livemode,
                "locale": session.locale,
                "metadata": session.metadata,
                "mode": "payment",
                "payment_intent": session.payment_intent,
                "payment_method_collection": "if_required",
                "payment_method_options": {},
                "payment_method_types": session.payment_method_types,
                "payment_status": if session.paid { "paid" } else { "unpaid" },
                "phone_number_collection": {"enabled": false},
                "shipping_options": [],
                "status": session.status,
                "success_url": session.success_url,
                "total_details": {"amount_discount": 0, "amount_shipping": 0, "amount_tax": session.amount_tax},
                "ui_mode": "hosted_page",
                "url": if open { json!(format!("{}/pay/{}", self.run.public_url, session.id)) } else { Value::Null },
            }),
            &[
                "billing_address_collection",
                "customer",
                "payment_link",
                "recovered_from",
                "setup_intent",
                "shipping_cost",
                "submit_type",
                "subscription",
                "wallet_options",
            ],
        )
    }

    pub(super) fn line_items_json(&self, session: &str) -> Value {
        let items = self.sessions.get(session).map(|session| session.line_items.as_slice()).unwrap_or_default();
        let data: Vec<Value> = items
            .iter()
            .map(|item| {
                json!({
                    "id": item.id,
                    "object": "item",
                    "amount_discount": 0,
                    "amount_subtotal": item.amount_subtotal,
                    "amount_tax": item.amount_tax,
                    "amount_total": item.amount_total,
                    "currency": "eur",
                    "description": item.name,
                    "price": null,
                    "quantity": item.quantity,
                })
            })
            .collect();
        let url = format!("/v1/checkout/sessions/{session}/line_items");
        json!({"object": "list", "data": data, "has_more": false, "url": url})
    }
}

fn customer_details(session: &CheckoutSession) -> Value {
    match &session.customer_email {
        None => Value::Null,
        Some(email) => json!({
            "address": null, "business_name": null, "email": email, "individual_name": null, "name": null,
            "phone": null, "tax_exempt": "none", "tax_ids": null,
        }),
    }
}

fn read_line_items(form: &Form, tax_basis_points: u32) -> Result<Vec<LineItem>> {
    let indices = form.indices("line_items");
    if indices.is_empty() {
        return Err(missing("line_items"));
    }
    indices.into_iter().map(|index| read_line_item(form, index, tax_basis_points)).collect()
}

fn read_line_item(form: &Form, index: u32, tax_basis_points: u32) -> Result<LineItem> {
    let field = |name: &str| format!("line_items[{index}]{name}");
    if let Some(price) = form.text(&field("[price]"))? {
        return Err(StripeError::no_such("price", price, &field("[price]")));
    }
    form.currency(&field("[price_data][currency]"))?;
    if let Some(product) = form.text(&field("[price_data][product]"))? {
        return Err(StripeError::no_such("product", product, &field("[price_data][product]")));
    }
    let name = form.required(&field("[price_data][product_data][name]"))?.to_owned();
    let description = form.text(&field("[price_data][product_data][description]"))?.map(str::to_owned);
    let amount_name = field("[price_data][unit_amount]");
    let unit_amount = form.cents(&amount_name, 0)?.ok_or_else(|| missing(&amount_name))?;
    let quantity = form.cents(&field("[quantity]"), 1)?.ok_or_else(|| missing(&field("[quantity]")))?;
    let behavior = form.one_of(&field("[price_data][tax_behavior]"), &["exclusive", "inclusive", "unspecified"])?;
    let amount = unit_amount.saturating_mul(quantity);
    check_not_too_large(amount, &amount_name)?;
    // Without a behaviour, a price in euros contains its tax.
    let (amount_subtotal, amount_tax, amount_total) = if behavior == Some("exclusive") {
        let tax = rounded_share(amount, i64::from(tax_basis_points), 10_000);
        (amount, tax, amount + tax)
    } else {
        // The session's subtotal is what the prices say, tax within.
        let tax = rounded_share(amount, i64::from(tax_basis_points), 10_000 + i64::from(tax_basis_points));
        (amount, tax, amount)
    };
    Ok(LineItem {
        id: new_id("li_1", 23),
        name,
        description,
        unit_amount,
        quantity,
        amount_tax,
        amount_subtotal,
        amount_total,
    })
}

/// `amount * part / whole`, halves up. Amounts are limited before, so nothing overflows.
fn rounded_share(amount: i64, part: i64, whole: i64) -> i64 {
    (amount * part * 2 + whole) / (whole * 2)
}

fn check_total(total: i64) -> Result<()> {
    check_not_too_large(total, "line_items")?;
    if total < LEAST_AMOUNT {
        let message = "The Checkout Session's total amount due must add up to at least €0.50 eur";
        return Err(StripeError::invalid("amount_too_small", "line_items[0][price_data][unit_amount]", message));
    }
    Ok(())
}

fn check_not_too_large(amount: i64, param: &str) -> Result<()> {
    if amount > GREATEST_AMOUNT {
        return Err(StripeError::invalid("amount_too_large", param, "Amount must be no more than €999,999.99"));
    }
    Ok(())
}

fn expiry(form: &Form, now: i64) -> Result<i64> {
    let Some(expires_at) = form.integer("expires_at")? else { return Ok(now + LONGEST_LIFE) };
    let refused = |limit: &str| {
        let message = format!("The `expires_at` timestamp must be {limit} from Checkout Session creation.");
        Err(StripeError::invalid_without_code("expires_at", message))
    };
    if expires_at < now + SHORTEST_LIFE - CLOCK_TOLERANCE {
        return refused("at least 30 minutes");
    }
    if expires_at > now + LONGEST_LIFE + CLOCK_TOLERANCE {
        return refused("less than 24 hours");
    }
    Ok(expires_at)
}

/// The methods offered: those of the dashboard (card and link), or those allowed, without those excluded. The
/// parameter `payment_method_types` is gone since this API version.
fn method_types(form: &Form) -> Result<Vec<String>> {
    let (allowed, excluded) =
        (known_methods(form, "allowed_payment_method_types")?, known_methods(form, "excluded_payment_method_types")?);
    let mut types = if allowed.is_empty() { vec!["card".to_owned(), "link".to_owned()] } else { allowed };
    types.retain(|word| !excluded.contains(word));
    if types.is_empty() {
        let message = "No valid payment method types for this Checkout Session.";
        return Err(StripeError::invalid_without_code("allowed_payment_method_types", message));
    }
    Ok(types)
}

fn known_methods(form: &Form, name: &str) -> Result<Vec<String>> {
    let types = form.list(name)?;
    match types.iter().position(|word| !METHOD_TYPES.contains(&word.as_str())) {
        None => Ok(types),
        Some(index) => {
            let param = format!("{name}[{index}]");
            let message = format!("Invalid {param}: must be one of {}", METHOD_TYPES.join(", "));
            Err(StripeError::invalid_without_code(param, message))
        }
    }
}

fn client_reference(form: &Form) -> Result<Option<String>> {
    let reference = form.text("client_reference_id")?;
    if reference.is_some_and(|reference| reference.chars().count() > REFERENCE_CHARACTERS) {
        let message = "Invalid string: must be at most 200 characters";
        return Err(StripeError::invalid_without_code("client_reference_id", message));
    }
    Ok(reference.map(str::to_owned))
}

/// An e-mail address, when given, in the shape that Stripe accepts.
pub(super) fn email(form: &Form, name: &str) -> Result<Option<String>> {
    let Some(text) = form.text(name)? else { return Ok(None) };
    let valid = text.split_once('@').is_some_and(|(local, domain)| {
        !local.is_empty() && domain.contains('.') && !domain.contains('@') && !text.contains(char::is_whitespace)
    });
    if valid {
        return Ok(Some(text.to_owned()));
    }
    Err(StripeError::invalid("email_invalid", name, format!("Invalid email address: {text}")))
}
