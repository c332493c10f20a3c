use shared::store::{Claim, Outcome};
use shared::svix::{SvixClient, SvixError};

/// Ends the portal sessions that were opened with a key which is revoked now. The key
/// itself is refused since its revocation.
pub async fn run(
    svix: &SvixClient,
    claim: &Claim,
    svix_app_id: &str,
) -> Result<Outcome, SvixError> {
    svix.end_portal_sessions(svix_app_id, claim.key_id).await?;
    Ok(Outcome::PortalSessionsEnded)
}
