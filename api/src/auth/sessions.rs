use std::sync::Arc;

use shared::clock::{Clock, Timestamp};
use shared::config::SessionConfig;
use shared::ids::AccountId;
use shared::session::SessionToken;
use shared::store::{SessionKeys, Store};

use super::jwt::{JwtSessions, NoAccount};
use crate::error::{ApiError, ErrorCode};
use crate::published_keys::ClientError;

/// The source of sessions, which decides how a token leads to its account.
#[derive(Clone)]
pub enum Sessions {
    /// The table `sessions`, into which the platform's login writes.
    Table,
    /// Tokens that an identity provider has signed.
    Jwt(Arc<JwtSessions>),
}

impl Sessions {
    /// Creates the configured source. It starts to fetch the identity provider's
    /// keys immediately, so that an invalid URL is logged before the first request.
    pub fn new(config: &SessionConfig, clock: Clock) -> Result<Self, ClientError> {
        match config {
            SessionConfig::Table => Ok(Self::Table),
            SessionConfig::Jwt(config) => {
                let sessions = JwtSessions::new(config.clone(), clock)?;
                sessions.fetch_keys();
                Ok(Self::Jwt(Arc::new(sessions)))
            }
        }
    }

    /// Returns whether tokens can be verified yet. May start to fetch the identity
    /// provider's keys.
    pub fn can_verify_tokens(&self) -> bool {
        match self {
            Self::Table => true,
            Self::Jwt(sessions) => sessions.has_keys(),
        }
    }

    /// Returns the session that the token stands for.
    pub async fn find(
        &self,
        token: &SessionToken,
        store: &dyn Store,
        now: Timestamp,
    ) -> Result<Session, ApiError> {
        match self {
            Self::Table => {
                let hash = token.hash();
                let account = store.session_account(&hash, now).await?;
                Ok(Session {
                    account: account.ok_or_else(ApiError::no_session)?,
                    id: Some(hash.id()),
                })
            }
            // Boxed, because a future is as large as its largest branch.
            Self::Jwt(sessions) => Ok(Box::pin(sessions.find(token)).await?),
        }
    }

    /// Returns the account of the session that the token stands for, with its keys.
    pub async fn find_keys(
        &self,
        token: &SessionToken,
        store: &dyn Store,
        now: Timestamp,
    ) -> Result<SessionKeys, ApiError> {
        match self {
            Self::Table => {
                let found = store.keys_of_session(&token.hash(), now).await?;
                found.ok_or_else(ApiError::no_session)
            }
            Self::Jwt(sessions) => {
                let account = Box::pin(sessions.find(token)).await?.account;
                let keys = store.keys_of(&account).await?;
                Ok(SessionKeys { account, keys })
            }
        }
    }
}

/// A valid session.
#[derive(Debug, PartialEq, Eq)]
pub struct Session {
    /// The account that is signed in.
    pub account: AccountId,
    /// A name for the session in the audit trail: the beginning of its hash, or the
    /// token's `jti`.
    pub id: Option<String>,
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
                "Sessions cannot be verified at the moment. Please try again shortly.",
            )
            .retry_after(retry_after),
        }
    }
}
