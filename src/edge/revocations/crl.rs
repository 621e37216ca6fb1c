//! Certificate revocation lists by URL, fetched in the background, never by a request. What they are worth is for who takes them.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use reqwest::Client;
use tokio::sync::mpsc;
use tokio::time::sleep;

use crate::config::{Crls, Url};
use crate::edge::fetch;
use crate::edge::jwks::News;
use crate::telemetry::metrics::{Loaded, Metrics};

/// After a fetch that failed, the next one comes after this time at the latest.
const AGAIN: Duration = Duration::from_secs(30);

/// Fetches the lists of a config, for ever.
pub async fn follow(crls: Option<&Crls>, client: &Client, news: mpsc::Sender<News>, metrics: Arc<Metrics>) {
    match crls {
        Some(crls) if !crls.urls.is_empty() => {
            let refresh = Duration::from_secs(crls.refresh_seconds);
            join_all(crls.urls.iter().map(|url| fetch_for_ever(url, refresh, client, &news, &metrics))).await;
        }
        Some(_) | None => std::future::pending().await,
    }
}

async fn fetch_for_ever(url: &Url, refresh: Duration, client: &Client, news: &mpsc::Sender<News>, metrics: &Metrics) {
    let place = fetch::place(url.clone());
    loop {
        let wait = match fetch::list(client, url.clone()).await {
            Ok(list) => {
                if news.send(News::List(place.clone(), list)).await.is_err() {
                    return;
                }
                refresh
            }
            Err(why) => {
                metrics.loaded(Loaded::Crl, false);
                tracing::warn!(
                    why,
                    "a certificate revocation list could not be fetched; the last good one stays until it runs out"
                );
                refresh.min(AGAIN)
            }
        };
        sleep(wait).await;
    }
}
