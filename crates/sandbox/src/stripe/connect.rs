//! Connect accounts and the links to their onboarding.
//!
//! An account can receive transfers once its onboarding is finished, until it is restricted or deleted.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{
    api::Call,
    books::{Account, AccountLink},
    checkout::email,
    error::StripeError,
    form::{Form, missing},
    state::{State, new_id},
    webhooks::CustomEvent,
};

type Result<T> = std::result::Result<T, StripeError>;

/// Seconds for which an account link may be opened.
const LINK_LIFETIME: i64 = 5 * 60;

const COMMON_PARAMETERS: [&str; 12] = [
    "email",
    "business_type",
    "business_profile[**]",
    "capabilities[*][requested]",
    "company[**]",
    "default_currency",
    "expand[]",
    "external_account",
    "individual[**]",
    "metadata[*]",
    "settings[**]",
    "tos_acceptance[**]",
];

impl State {
    pub(super) fn create_account(&mut self, call: &Call) -> Result<Value> {
        let form = &call.form;
        form.allow(&[&["type", "country", "controller[**]"][..], &COMMON_PARAMETERS[..]].concat())?;
        let kind = form.one_of("type", &["custom", "express", "standard"])?.unwrap_or("none").to_owned();
        let country = form.text("country")?.unwrap_or("FR");
        if country.len() != 2 || !country.bytes().all(|byte| byte.is_ascii_uppercase()) {
            let message = format!(
                "Country '{country}' is unknown. Try using a 2-character alphanumeric country code instead, such as 'US', 'EG', or 'GB'. A full list of country codes is available at https://stripe.com/global."
            );
            return Err(StripeError::invalid("country_unsupported", "country", message));
        }
        let account = Account {
            id: new_id("acct_1", 15),
            kind,
            country: country.to_owned(),
            email: email(form, "email")?,
            business_type: business_type(form)?,
            metadata: form.metadata("metadata")?,
            capabilities: requested_capabilities(form)?,
            details_submitted: false,
            restricted: false,
            deleted: false,
            created: self.now(),
            idempotency_key: call.key.clone(),
        };
        let answer = self.account_json(&account);
        self.accounts.insert(account);
        Ok(answer)
    }

    pub(super) fn update_account(&mut self, id: &str, form: &Form) -> Result<Value> {
        form.allow(&COMMON_PARAMETERS)?;
        let (email, business_type) = (email(form, "email")?, business_type(form)?);
        let metadata = form.metadata("metadata")?;
        let account = self.live_account_mut(id)?;
        account.email = email.or_else(|| account.email.take());
        account.business_type = business_type.or_else(|| account.business_type.take());
        account.metadata.extend(metadata);
        Ok(self.object(id).unwrap_or_default())
    }

    pub(super) fn retrieve_account(&self, id: &str, form: &Form) -> Result<Value> {
        form.allow(&["expand[]"])?;
        let account = self.accounts.get(id).filter(|account| !account.deleted);
        account.map(|account| self.account_json(account)).ok_or_else(|| StripeError::account_invalid(id))
    }

    pub(super) fn remove_account(&mut self, id: &str) -> Result<Value> {
        self.live_account_mut(id)?.deleted = true;
        Ok(json!({"id": id, "object": "account", "deleted": true}))
    }

    pub(super) fn create_link(&mut self, form: &Form) -> Result<Value> {
        form.allow(&[
            "account",
            "type",
            "return_url",
            "refresh_url",
            "collect",
            "collection_options[fields]",
            "collection_options[future_requirements]",
            "expand[]",
        ])?;
        let account = form.required("account")?.to_owned();
        form.one_of("type", &["account_onboarding", "account_update"])?.ok_or_else(|| missing("type"))?;
        let (return_url, refresh_url) = (form.required_url("return_url")?, form.required_url("refresh_url")?);
        self.live_account_mut(&account)?;
        let created = self.now();
        let link = AccountLink {
            token: new_id("", 20),
            account,
            return_url,
            refresh_url,
            created,
            expires_at: created + LINK_LIFETIME,
            used: false,
        };
        let url = format!("{}/connect/{}/{}", self.run.public_url, link.account, link.token);
        let answer = json!({"object": "account_link", "created": created, "expires_at": link.expires_at, "url": url});
        self.links.insert(link);
        Ok(answer)
    }

    /// The holder has given everything: requested capabilities become active.
    pub(super) fn finish_onboarding(&mut self, id: &str) -> Result<()> {
        let account = self.live_account_mut(id)?;
        (account.details_submitted, account.restricted) = (true, false);
        account.capabilities.values_mut().for_each(|status| "active".clone_into(status));
        self.account_updated(id);
        Ok(())
    }

    /// Stripe asks for more and suspends the account.
    pub(super) fn restrict(&mut self, id: &str) -> Result<()> {
        let account = self.live_account_mut(id)?;
        account.restricted = true;
        account.capabilities.values_mut().for_each(|status| "inactive".clone_into(status));
        self.account_updated(id);
        Ok(())
    }

    fn account_updated(&mut self, id: &str) {
        let object = self.object(id).unwrap_or_default();
        let event = CustomEvent::new("account.updated", object);
        self.emit_custom(CustomEvent { account: Some(id.to_owned()), ..event });
    }

    fn live_account_mut(&mut self, id: &str) -> Result<&mut Account> {
        let account = self.accounts.get_mut(id).filter(|account| !account.deleted);
        account.ok_or_else(|| StripeError::account_invalid(id))
    }

    pub(super) fn account_json(&self, account: &Account) -> Value {
        let due = if account.details_submitted && !account.restricted {
            json!([])
        } else {
            json!(["external_account", "individual.verification.document"])
        };
        let disabled = match (account.details_submitted, account.restricted) {
            (_, true) => json!("requirements.past_due"),
            (false, _) => json!("requirements.past_due"),
            (true, false) => Value::Null,
        };
        let payouts = account.payouts_enabled();
        let charges = payouts && account.capabilities.contains_key("card_payments");
        json!({
            "id": account.id,
            "object": "account",
            "business_profile": null,
            "business_type": account.business_type,
            "capabilities": account.capabilities,
            "charges_enabled": charges,
            "country": account.country,
            "created": account.created,
            "default_currency": "eur",
            "details_submitted": account.details_submitted,
            "email": account.email,
            "metadata": account.metadata,
            "payouts_enabled": payouts,
            "requirements": {
                "alternatives": [],
                "current_deadline": null,
                "currently_due": due,
                "disabled_reason": disabled,
                "errors": [],
                "eventually_due": due,
                "past_due": due,
                "pending_verification": [],
            },
            "type": account.kind,
        })
    }
}

fn business_type(form: &Form) -> Result<Option<String>> {
    let words = ["company", "government_entity", "individual", "non_profit"];
    Ok(form.one_of("business_type", &words)?.map(str::to_owned))
}

/// The capabilities asked for; without any, those that the platform's dashboard asks for.
fn requested_capabilities(form: &Form) -> Result<BTreeMap<String, String>> {
    let mut capabilities = BTreeMap::new();
    for name in ["card_payments", "transfers", "sepa_debit_payments", "bancontact_payments", "link_payments"] {
        if form.boolean(&format!("capabilities[{name}][requested]"))? {
            capabilities.insert(name.to_owned(), "inactive".to_owned());
        }
    }
    if capabilities.is_empty() {
        for name in ["card_payments", "transfers"] {
            capabilities.insert(name.to_owned(), "inactive".to_owned());
        }
    }
    Ok(capabilities)
}
