//! Which Redis is the primary, where Sentinels watch over several.
//!
//! More than half of the Sentinels that config names must name the same one: who was cut off with a minority goes on believing in a
//! primary that the others have replaced. Nobody is the primary while they do not agree, and what is kept there counts as away.

use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::future::join_all;
use redis::Pipeline;

use super::examine::{Unusable, bytes, sent};
use super::{Dialer, Role};
use crate::config::{RedisAddress, Sentinel};

impl Dialer {
    /// Whom to ask first: what config names, or the primary that the Sentinels name.
    ///
    /// # Errors
    /// A Sentinel, and why there is no primary.
    pub async fn first_addresses(&self, at_most: Duration) -> Result<Vec<RedisAddress>, (RedisAddress, Unusable)> {
        match &self.redis.sentinel {
            None => Ok(self.redis.addresses.clone()),
            Some(sentinel) => Ok(vec![self.primary(sentinel, at_most).await?]),
        }
    }

    /// Whether this one is still the one to ask, as far as Sentinels have a say.
    ///
    /// # Errors
    /// As above.
    pub async fn is_current(
        &self,
        address: &RedisAddress,
        at_most: Duration,
    ) -> Result<bool, (RedisAddress, Unusable)> {
        match &self.redis.sentinel {
            None => Ok(true),
            Some(sentinel) => Ok(self.primary(sentinel, at_most).await? == *address),
        }
    }

    async fn primary(&self, sentinel: &Sentinel, at_most: Duration) -> Result<RedisAddress, (RedisAddress, Unusable)> {
        let all = &self.redis.addresses;
        let answers = join_all(all.iter().map(|address| self.named_by(address, sentinel, at_most))).await;
        let (mut named, mut failed) = (BTreeMap::<_, usize>::new(), None);
        for (address, answer) in all.iter().zip(answers) {
            match answer {
                Ok(primary) => {
                    let count = named.entry(primary).or_default();
                    *count = count.saturating_add(1);
                }
                Err(why) => failed = Some((address.clone(), why)),
            }
        }
        match named.into_iter().max_by_key(|(_, count)| *count) {
            Some((primary, count)) if count > all.len() / 2 => Ok(primary),
            Some((primary, count)) => Err((primary, Unusable::NoPrimary(count))),
            None => Err(failed.unwrap_or((RedisAddress { host: String::new(), port: 0 }, Unusable::NoPrimary(0)))),
        }
    }

    async fn named_by(
        &self,
        address: &RedisAddress,
        sentinel: &Sentinel,
        at_most: Duration,
    ) -> Result<RedisAddress, Unusable> {
        let connection = self.connect_as(Role::Sentinel, address, at_most).await?;
        let mut commands = Pipeline::with_capacity(1);
        commands.cmd("SENTINEL").arg("GET-MASTER-ADDR-BY-NAME").arg(&sentinel.primary);
        let answers = sent(&connection, &commands, 1, at_most).await?;
        let Some(redis::Value::Array(primary)) = answers.first() else { return Err(Unusable::NoPrimary(0)) };
        let text = |value| bytes(value).and_then(|bytes| core::str::from_utf8(bytes).ok());
        let [host, port] = primary.as_slice() else { return Err(Unusable::Odd) };
        let (host, port) = (text(host).ok_or(Unusable::Odd)?, text(port).ok_or(Unusable::Odd)?);
        Ok(RedisAddress { host: host.to_owned(), port: port.parse().map_err(|_| Unusable::Odd)? })
    }
}
