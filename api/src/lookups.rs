//! Many lookups for one request.

use futures_util::{StreamExt, TryStreamExt, stream};

/// The number of lookups that one request makes at the same time. A large request leaves room
/// for others, whose lookups go into the same statements.
const AT_ONCE: usize = 16;

/// Returns the results of lookups, in their order. Fails with the first error.
pub async fn all<T, E>(lookups: Vec<impl Future<Output = Result<T, E>>>) -> Result<Vec<T>, E> {
    stream::iter(lookups).buffered(AT_ONCE).try_collect().await
}
