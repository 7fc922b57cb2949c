//! Connected accounts: where freelances are paid to, and the link that lets them sign up.
//!
//! Of an account only what decides whether money can be sent leaves this module; its owner's
//! identity and bank details do not.

use std::collections::HashMap;

use serde_json::Value;
use stripe::StripeRequest;
use stripe_connect::{
    account::{
        CreateAccount, CreateAccountBusinessProfile, CreateAccountCapabilities, CreateAccountCapabilitiesTransfers,
        CreateAccountType, RetrieveAccount,
    },
    account_link::{CreateAccountLink, CreateAccountLinkType},
};
use stripe_shared::AccountCapabilitiesStatus;

use crate::{
    client::{Stripe, check_id, keyed, keyed_once},
    error::StripeError,
    event_object,
};

/// Country of every account made here.
const COUNTRY: &str = "FR";

/// A freelance to be paid.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewAccount {
    /// Address Stripe writes to.
    pub email: String,
    /// The freelance; kept in the account's metadata.
    pub freelance_id: String,
    /// Name proposed to the freelance in Stripe's form; may be empty.
    pub name: String,
}

/// A connected account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// `acct_…`
    pub id: String,
    /// Its owner's address, to recognise an account by; it is not shown to anybody.
    pub email: Option<String>,
    /// Whether it can charge cards.
    pub charges_enabled: bool,
    /// Whether money leaves it for the owner's bank.
    pub payouts_enabled: bool,
    /// Whether the owner has filled in Stripe's form.
    pub details_submitted: bool,
    /// Whether transfers to it are possible.
    pub transfers_active: bool,
    /// Metadata, `freelanceId` among it.
    pub metadata: HashMap<String, String>,
}

/// A link to Stripe's form, valid once and for minutes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccountLink {
    /// The form's address.
    pub url: String,
    /// When it was made, in Unix seconds.
    pub created: i64,
    /// When it becomes invalid, in Unix seconds.
    pub expires_at: i64,
}

impl Stripe {
    /// Makes a French Express account that asks for transfers.
    ///
    /// # Errors
    /// See [`StripeError`].
    pub async fn create_account(&self, account: &NewAccount, key: &str) -> Result<Account, StripeError> {
        let strategy = keyed(key)?;
        let body = account_parameters(account);
        let account = self
            .call("create account", || body.customize().request_strategy(strategy.clone()).send(self.client()))
            .await?;
        Ok(account.into())
    }

    /// Reads an account.
    ///
    /// # Errors
    /// See [`StripeError`].
    pub async fn get_account(&self, id: &str) -> Result<Account, StripeError> {
        check_id("the account", id)?;
        let request = RetrieveAccount::new(id);
        let account = self.call("get account", || request.send(self.client())).await?;
        Ok(account.into())
    }

    /// Makes a link to the form an account's owner has to fill in. Stripe sends the browser to
    /// `refresh_url` when the link is no longer valid, and to `return_url` from the form.
    ///
    /// # Errors
    /// See [`StripeError`].
    pub async fn create_account_link(
        &self,
        account: &str,
        refresh_url: &str,
        return_url: &str,
    ) -> Result<AccountLink, StripeError> {
        check_id("the account", account)?;
        let strategy = keyed_once();
        let body = CreateAccountLink::new(account, CreateAccountLinkType::AccountOnboarding)
            .refresh_url(refresh_url)
            .return_url(return_url);
        let link = self
            .call("create account link", || body.customize().request_strategy(strategy.clone()).send(self.client()))
            .await?;
        Ok(AccountLink { url: link.url, created: link.created, expires_at: link.expires_at })
    }
}

fn account_parameters(account: &NewAccount) -> CreateAccount {
    let mut transfers = CreateAccountCapabilitiesTransfers::new();
    transfers.requested = Some(true);
    let mut capabilities = CreateAccountCapabilities::new();
    capabilities.transfers = Some(transfers);

    let body = CreateAccount::new()
        .type_(CreateAccountType::Express)
        .country(COUNTRY)
        .email(account.email.clone())
        .capabilities(capabilities)
        .metadata(HashMap::from([("freelanceId".to_owned(), account.freelance_id.clone())]));
    if account.name.trim().is_empty() {
        return body;
    }
    let mut profile = CreateAccountBusinessProfile::new();
    profile.name = Some(account.name.clone());
    body.business_profile(profile)
}

impl Account {
    /// Reads an account out of an event's object, which may be partial; `None` without an identifier.
    #[must_use]
    pub fn from_event_object(object: &Value) -> Option<Self> {
        let capability = |name| object.get("capabilities").and_then(|all| event_object::text(all, name));
        Some(Self {
            id: event_object::text(object, "id")?,
            email: event_object::text(object, "email"),
            charges_enabled: event_object::flag(object, "charges_enabled"),
            payouts_enabled: event_object::flag(object, "payouts_enabled"),
            details_submitted: event_object::flag(object, "details_submitted"),
            transfers_active: capability("transfers").as_deref() == Some("active"),
            metadata: event_object::metadata(object),
        })
    }
}

impl From<stripe_shared::Account> for Account {
    fn from(account: stripe_shared::Account) -> Self {
        let transfers = account.capabilities.and_then(|capabilities| capabilities.transfers);
        Self {
            id: account.id.to_string(),
            email: account.email,
            charges_enabled: account.charges_enabled.unwrap_or(false),
            payouts_enabled: account.payouts_enabled.unwrap_or(false),
            details_submitted: account.details_submitted.unwrap_or(false),
            transfers_active: transfers == Some(AccountCapabilitiesStatus::Active),
            metadata: account.metadata.unwrap_or_default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_event_object_is_read() {
        let object = json!({
            "id": "acct_1", "payouts_enabled": true, "details_submitted": true,
            "capabilities": {"transfers": "active", "card_payments": "inactive"}, "metadata": {"freelanceId": "f"},
        });
        let account = Account::from_event_object(&object).unwrap();
        assert!(account.transfers_active && account.payouts_enabled && !account.charges_enabled);
        assert_eq!(account.metadata["freelanceId"], "f");
        let partial = Account::from_event_object(&json!({"id": "acct_1", "capabilities": {"transfers": "pending"}}));
        assert!(!partial.unwrap().transfers_active);
        assert_eq!(Account::from_event_object(&json!({})), None);
    }
}
