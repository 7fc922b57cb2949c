//! What can go wrong with a call, reduced to the one question the callers ask: is it decided?
//!
//! Nothing of the provider's answer but a code, a parameter's name and a sentence leaves this
//! module: the library's own errors print whole objects, card details included.

use stripe_shared::ApiErrors;

/// Longest provider message kept, in characters.
const MESSAGE_LIMIT: usize = 500;
/// Code given to the refusal to expire a session that has been paid meanwhile; Stripe sends none.
const SESSION_COMPLETE: &str = "checkout_session_complete";

/// A call to Stripe that did not succeed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StripeError {
    /// Stripe's final answer is no: nothing was created or changed, and repeating the same call
    /// with the same key gives the same answer.
    #[error("Stripe refused the request ({status}, {}): {message}", .code.as_deref().or(.error_type.as_deref()).unwrap_or("no code"))]
    Refused {
        /// HTTP status, 400 to 499.
        status: u16,
        /// Stripe's error code (`resource_missing`, `balance_insufficient`…), when it sent one.
        code: Option<String>,
        /// Stripe's error type (`invalid_request_error`, `card_error`, `idempotency_error`…).
        error_type: Option<String>,
        /// The card issuer's reason, for a declined card.
        decline_code: Option<String>,
        /// Stripe's sentence for developers, without keys; not meant for end users.
        message: String,
        /// The request parameter the refusal is about.
        param: Option<String>,
    },
    /// Whether the call took effect is not known: repeat it with the same idempotency key, or look
    /// the object up.
    #[error("the outcome of the Stripe request is not known: {reason}")]
    Unknown {
        /// Why the outcome is not known.
        reason: UnknownReason,
    },
    /// Stripe does not accept the configured secret key, or the key lacks a permission.
    #[error("Stripe does not accept the configured secret key")]
    Authentication,
    /// The request was not sent because it could not have been valid.
    #[error("the Stripe request is invalid and was not sent: {message}")]
    Invalid {
        /// What is wrong with it.
        message: String,
    },
}

/// Why the outcome of a call is not known.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UnknownReason {
    /// No complete answer within the configured time.
    #[error("no answer in time")]
    Timeout,
    /// The connection could not be made or broke.
    #[error("connection failed ({0})")]
    Connection(String),
    /// Stripe answered with a server error; it may be stored under the idempotency key.
    #[error("server error {status}")]
    ServerError {
        /// HTTP status, 424 or 500 and above.
        status: u16,
    },
    /// Too many requests, or the object is locked by another request (429).
    #[error("rate limited")]
    RateLimited,
    /// Another request with the same idempotency key is being processed (409).
    #[error("a request with the same idempotency key is in progress")]
    InProgress,
    /// The answer was not one of Stripe's documented answers.
    #[error("unreadable answer")]
    UnreadableAnswer,
}

impl StripeError {
    /// True when Stripe has decided, or nothing was sent: repeating the call with the same key is
    /// pointless and no object was created. False when the call may have taken effect or may
    /// succeed later; a refused key is such a case, since an operator can replace it.
    #[must_use]
    pub fn is_final(&self) -> bool {
        matches!(self, Self::Refused { .. } | Self::Invalid { .. })
    }

    /// Stripe's error code of a refusal.
    #[must_use]
    pub fn code(&self) -> Option<&str> {
        match self {
            Self::Refused { code, .. } => code.as_deref(),
            _ => None,
        }
    }

    /// HTTP status of a refusal.
    #[must_use]
    pub fn status(&self) -> Option<u16> {
        match self {
            Self::Refused { status, .. } => Some(*status),
            _ => None,
        }
    }

    /// True when Stripe may have stored a failure under the idempotency key and would replay it:
    /// after such an answer look the object up, and only then use a new key.
    #[must_use]
    pub fn may_be_stored(&self) -> bool {
        matches!(self, Self::Unknown { reason: UnknownReason::ServerError { .. } | UnknownReason::UnreadableAnswer })
    }

    /// True when the object asked for does not exist (or belongs to another mode or account).
    #[must_use]
    pub fn is_missing(&self) -> bool {
        self.status() == Some(404) || self.code() == Some("resource_missing")
    }

    /// True when the idempotency key was used before with other parameters.
    #[must_use]
    pub fn is_idempotency_mismatch(&self) -> bool {
        matches!(self, Self::Refused { error_type: Some(error_type), .. } if error_type == "idempotency_error")
    }

    /// True when the platform's balance is too low for a transfer or refund. It is a stored answer:
    /// trying again later needs a new idempotency key.
    #[must_use]
    pub fn is_insufficient_balance(&self) -> bool {
        matches!(self.code(), Some("balance_insufficient" | "insufficient_funds"))
    }

    /// True when the charge has been refunded in full before, for example in the dashboard.
    #[must_use]
    pub fn is_already_refunded(&self) -> bool {
        self.code() == Some("charge_already_refunded")
    }

    /// True when the charge is disputed: its money is the bank's to decide on. It is a stored answer, too.
    #[must_use]
    pub fn is_disputed(&self) -> bool {
        matches!(self.code(), Some("charge_disputed" | "refund_disputed_payment"))
    }

    /// True when a session could not be expired because it has been completed, so possibly paid.
    #[must_use]
    pub fn is_session_complete(&self) -> bool {
        self.code() == Some(SESSION_COMPLETE)
    }

    pub(crate) fn invalid(message: impl Into<String>) -> Self {
        Self::Invalid { message: message.into() }
    }

    pub(crate) fn unknown(reason: UnknownReason) -> Self {
        Self::Unknown { reason }
    }

    pub(crate) fn session_complete(id: &str) -> Self {
        Self::Refused {
            status: 400,
            code: Some(SESSION_COMPLETE.to_owned()),
            error_type: Some("invalid_request_error".to_owned()),
            decline_code: None,
            message: format!("the Checkout Session {id} is complete"),
            param: None,
        }
    }
}

impl From<stripe::StripeError> for StripeError {
    fn from(error: stripe::StripeError) -> Self {
        match error {
            stripe::StripeError::Stripe(answer, status) => classify(status, &answer),
            stripe::StripeError::JSONDeserialize(_) => Self::unknown(UnknownReason::UnreadableAnswer),
            stripe::StripeError::Timeout => Self::unknown(UnknownReason::Timeout),
            stripe::StripeError::ClientError(text) => Self::unknown(UnknownReason::Connection(without_keys(&text))),
            stripe::StripeError::ConfigError(text) => Self::invalid(without_keys(&text)),
        }
    }
}

/// Sorts an error answer by its HTTP status.
fn classify(status: u16, answer: &ApiErrors) -> StripeError {
    let code = answer.code.as_ref().map(ToString::to_string);
    match status {
        401 => StripeError::Authentication,
        // An account that is not (or no longer) connected to the platform is also answered with 403.
        403 if code.as_deref() != Some("account_invalid") => StripeError::Authentication,
        409 => StripeError::unknown(UnknownReason::InProgress),
        429 => StripeError::unknown(UnknownReason::RateLimited),
        424 | 500.. => StripeError::unknown(UnknownReason::ServerError { status }),
        400..=499 => StripeError::Refused {
            status,
            code,
            error_type: Some(answer.type_.to_string()),
            decline_code: answer.decline_code.clone(),
            message: without_secrets(answer.message.as_deref().unwrap_or("no message")),
            param: answer.param.clone(),
        },
        _ => StripeError::unknown(UnknownReason::UnreadableAnswer),
    }
}

/// The text without anything that looks like an API key or an e-mail address, cut to [`MESSAGE_LIMIT`]: it goes into logs.
/// Stripe masks keys in its messages but shows their last four characters, and repeats an address that it does not like.
fn without_secrets(text: &str) -> String {
    let words = text.split(' ').map(|word| if word.contains('@') { "[address]" } else { word });
    without_keys(&words.collect::<Vec<_>>().join(" "))
}

fn without_keys(text: &str) -> String {
    let mut clean = String::new();
    let mut rest = text;
    while let Some(start) = ["sk_", "rk_"].iter().filter_map(|prefix| rest.find(prefix)).min() {
        clean.push_str(&rest[..start]);
        clean.push_str("[key]");
        let key = &rest[start..];
        let end = key.find(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '_' | '*' | '-')));
        rest = end.map_or("", |end| &key[end..]);
    }
    clean.push_str(rest);
    clean.chars().take(MESSAGE_LIMIT).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_cut_out_of_messages() {
        assert_eq!(
            without_keys("The provided key 'sk_test_***abcd' does not; rk_live_x"),
            "The provided key '[key]' does not; [key]"
        );
        assert_eq!(without_keys("nothing to hide"), "nothing to hide");
        let refused = "Invalid email address: somebody@example.org (sk_test_***abcd)";
        assert_eq!(without_secrets(refused), "Invalid email address: [address] ([key])");
        assert_eq!(without_keys(&"é".repeat(600)).chars().count(), MESSAGE_LIMIT);
    }

    #[test]
    fn only_decided_answers_are_final() {
        assert!(StripeError::session_complete("cs_1").is_final());
        assert!(StripeError::session_complete("cs_1").is_session_complete());
        assert!(StripeError::invalid("x").is_final());
        assert!(!StripeError::Authentication.is_final());
        assert!(!StripeError::unknown(UnknownReason::Timeout).is_final());
        assert!(StripeError::unknown(UnknownReason::ServerError { status: 500 }).may_be_stored());
        assert!(!StripeError::unknown(UnknownReason::RateLimited).may_be_stored());
    }
}
