//! Stripe: the key we call it with and the secrets its webhooks are signed with.

use std::time::Duration;

use secrecy::SecretString;
use url::Url;

use crate::parse;
use crate::reader::{Reader, Reported};

/// Stripe sends what concerns connected accounts to an endpoint of its own, with a secret of its own; and the old and the
/// new secret of each overlap during a rotation.
const MAX_WEBHOOK_SECRETS: usize = 4;

/// How to reach Stripe and check what it sends.
#[derive(Clone, Debug)]
pub struct StripeConfig {
    /// Secret or restricted API key.
    pub secret_key: SecretString,
    /// One signing secret, or two during a rotation; never none and none of them empty.
    pub webhook_secrets: Vec<SecretString>,
    /// Address of Stripe's API, with a trailing slash.
    pub api_url: Url,
    /// Whether the key moves real money.
    pub live_mode: bool,
    /// Time limit for one call.
    pub timeout: Duration,
}

impl StripeConfig {
    pub(crate) fn read(reader: &mut Reader<'_>) -> Result<Self, Reported> {
        let key = reader.value("STRIPE_SECRET_KEY", parse_key);
        let webhook_secrets = reader.value("STRIPE_WEBHOOK_SECRET", parse_webhook_secrets);
        let api_url = reader.value("STRIPE_API_URL", parse::base_url);
        // A key rests for two minutes after a call before money moves by another one: no call may take as long.
        let timeout = reader.number("STRIPE_TIMEOUT_MS", 1..=60_000_u64).map(Duration::from_millis);
        let (secret_key, live_mode) = key?;
        Ok(Self { secret_key, webhook_secrets: webhook_secrets?, api_url: api_url?, live_mode, timeout: timeout? })
    }
}

/// The key and whether it is a live one.
fn parse_key(text: &str) -> Result<(SecretString, bool), String> {
    if text.starts_with("pk_") || text.starts_with("whsec_") {
        return Err("is not a secret API key (it begins like a publishable key or a webhook secret)".to_owned());
    }
    let live_mode = text.starts_with("sk_live_") || text.starts_with("rk_live_");
    Ok((parse::secret(text)?, live_mode))
}

fn parse_webhook_secrets(text: &str) -> Result<Vec<SecretString>, String> {
    let secrets: Vec<&str> = text
        .split(|character: char| character == ',' || character.is_whitespace())
        .filter(|entry| !entry.is_empty())
        .collect();
    if secrets.is_empty() || secrets.len() > MAX_WEBHOOK_SECRETS {
        return Err("must hold one to four secrets, separated by commas".to_owned());
    }
    if secrets.iter().any(|secret| ["sk_", "rk_", "pk_"].iter().any(|prefix| secret.starts_with(prefix))) {
        return Err("holds an API key instead of a webhook signing secret".to_owned());
    }
    secrets.into_iter().map(parse::secret).collect()
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

    use super::*;

    fn exposed(text: &str) -> Result<Vec<String>, String> {
        let secrets = parse_webhook_secrets(text)?;
        Ok(secrets.iter().map(|secret| secret.expose_secret().to_owned()).collect())
    }

    #[test]
    fn live_mode_follows_from_the_key() {
        for (key, live) in
            [("sk_test_51Ab", false), ("rk_test_51Ab", false), ("sk_live_51Ab", true), ("rk_live_51Ab", true)]
        {
            assert_eq!(parse_key(key).map(|(_, live_mode)| live_mode), Ok(live), "{key}");
        }
        assert!(parse_key("pk_live_51Ab").is_err());
        assert!(parse_key("whsec_abc").is_err());
    }

    #[test]
    fn webhook_secrets_may_overlap() {
        assert_eq!(exposed("whsec_a1"), Ok(vec!["whsec_a1".to_owned()]));
        for text in ["whsec_a1,whsec_b2", "whsec_a1 whsec_b2", "whsec_a1\r\nwhsec_b2", ",whsec_a1,, whsec_b2,"] {
            assert_eq!(exposed(text), Ok(vec!["whsec_a1".to_owned(), "whsec_b2".to_owned()]), "{text:?}");
        }
        assert_eq!(exposed("whsec_a1,whsec_b2,whsec_c3,whsec_d4").map(|secrets| secrets.len()), Ok(4));
    }

    /// Fault case 85.
    #[test]
    fn an_empty_webhook_secret_is_refused() {
        let too_many = "whsec_a1,whsec_b2,whsec_c3,whsec_d4,whsec_e5";
        for text in [",", " , ", "whsec_", "whsec_a1,whsec_", "whsec_xxx", "sk_test_51Ab", too_many] {
            assert!(exposed(text).is_err(), "{text:?}");
        }
    }
}
