//! Envoy's access log: what the dynamic metadata said of each request.

use std::collections::HashMap;
use std::path::Path;

use serde_json::Value;

use super::place;

/// The code of each decision, by the id of the request.
pub struct Codes(HashMap<String, String>);

impl Codes {
    /// Reads the log, which Envoy writes a little later, until it tells of every one of these.
    pub fn read(log: &Path, ids: &[String]) -> Self {
        place::until("a line in the access log for every request", || {
            let codes = Self::of(&std::fs::read_to_string(log).expect("the access log"));
            ids.iter().all(|id| codes.0.contains_key(id)).then_some(codes)
        })
    }

    fn of(log: &str) -> Self {
        let lines = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let codes = lines.filter_map(|line| {
            let code = line["decision"]["code"].as_str().unwrap_or_default().to_owned();
            Some((line["request_id"].as_str()?.to_owned(), code))
        });
        Self(codes.collect())
    }

    /// The code; empty if there was no decision.
    pub fn of_request(&self, id: &str) -> &str {
        self.0.get(id).map_or("", String::as_str)
    }
}
