use std::sync::Arc;

use shared::clock::{Clock, Timestamp};
use shared::config::SessionConfig;
use shared::ids::AccountId;
use shared::session::SessionToken;
use shared::store::Store;

use super::jwt::{JwtSessions, NoAccount, ProviderError};
use crate::error::{ApiError, ErrorCode};

/// Where sessions come from, and so how a token names its account.
#[derive(Clone)]
pub enum Sessions {
    /// The table `sessions`, which the platform's login writes.
    Table,
    /// Tokens that an identity provider signed.
    Jwt(Arc<JwtSessions>),
}

impl Sessions {
    /// As configured. The provider's keys are fetched at once, in the
    /// background: a wrong URL is in the log before the first request.
    pub fn new(config: &SessionConfig, clock: Clock) -> Result<Self, ProviderError> {
        match config {
            SessionConfig::Table => Ok(Self::Table),
            SessionConfig::Jwt(config) => {
                let sessions = JwtSessions::new(config.clone(), clock)?;
                sessions.fetch_keys();
                Ok(Self::Jwt(Arc::new(sessions)))
            }
        }
    }

    /// Whether it can be told whom a token signs in to: not before an identity
    /// provider has given its keys, which it is asked for again here.
    pub fn can_be_told(&self) -> bool {
        match self {
            Self::Table => true,
            Self::Jwt(sessions) => sessions.has_keys(),
        }
    }

    /// The account that this token signs in to.
    pub async fn account(
        &self,
        token: &SessionToken,
        store: &dyn Store,
        now: Timestamp,
    ) -> Result<AccountId, ApiError> {
        match self {
            Self::Table => {
                let account = store.session_account(&token.hash(), now).await?;
                account.ok_or_else(ApiError::no_session)
            }
            Self::Jwt(sessions) => Ok(sessions.account(token).await?),
        }
    }
}

impl From<NoAccount> for ApiError {
    fn from(error: NoAccount) -> Self {
        match error {
            NoAccount::Refused(refusal) => {
                tracing::debug!(%refusal, "no session");
                Self::no_session()
            }
            NoAccount::Unavailable { retry_after } => Self::new(
                ErrorCode::Unavailable,
                "Sessions cannot be checked right now. Please try again in a moment.",
            )
            .retry_after(retry_after),
        }
    }
}
