//! Whether the provider still stands by the tokens of a session, renewing them when their time is over.

use secrecy::SecretString;

use super::{Oidc, OidcError, RefreshedTokens, UserInfo};

/// The provider's word on the tokens of a session.
pub enum TokenState {
    /// They are good, and belong to whom this says.
    Good(UserInfo),
    /// The access token's time was over; these take its place.
    Renewed(RefreshedTokens),
    /// The session has ended, or somebody else has used the refresh token, which is good once.
    Over,
}

impl Oidc {
    /// Asks with the access token, and with the refresh token once that is no longer good. The caller compares the
    /// subject with the one it expects.
    pub async fn confirm(
        &self,
        access: &SecretString,
        refresh: Option<&SecretString>,
    ) -> Result<TokenState, OidcError> {
        if let Some(info) = self.user_info(access).await? {
            return Ok(TokenState::Good(info));
        }
        let Some(refresh) = refresh else { return Ok(TokenState::Over) };
        match self.refresh(refresh).await {
            Ok(renewed) => Ok(TokenState::Renewed(renewed)),
            Err(error) if error.is_refusal() => Ok(TokenState::Over),
            Err(error) => Err(error),
        }
    }
}

impl OidcError {
    /// Whether this speaks of the token or the session; everything else is about how this client is set up, or a
    /// failure.
    pub fn is_refusal(&self) -> bool {
        match self {
            Self::Invalid(_) => true,
            Self::Refused { code } => code == "invalid_grant",
            Self::Unavailable(_) | Self::Misconfigured(_) => false,
        }
    }
}
