//! What a part of the run has to say: lines for people, values for machines, and targets.

use serde_json::{Map, Value, json};

/// A limit that keybound is to keep.
#[derive(Clone, Debug)]
pub struct Target {
    pub what: String,
    pub limit: String,
    pub found: String,
    pub reached: bool,
}

impl Target {
    /// Reached if the number is at most this.
    pub fn at_most(what: &str, most: f64, found: f64, unit: &str) -> Self {
        Self {
            what: what.to_owned(),
            limit: format!("≤ {most}{unit}"),
            found: format!("{found:.2}{unit}"),
            reached: found <= most,
        }
    }

    /// Reached if the number is at least this.
    pub fn at_least(what: &str, least: f64, found: f64, unit: &str) -> Self {
        Self {
            what: what.to_owned(),
            limit: format!("≥ {least}{unit}"),
            found: format!("{found:.2}{unit}"),
            reached: found >= least,
        }
    }

    fn json(&self) -> Value {
        json!({"what": self.what, "limit": self.limit, "found": self.found, "reached": self.reached})
    }
}

/// Said so far.
#[derive(Debug, Default)]
pub struct Told {
    pub lines: Vec<String>,
    pub targets: Vec<Target>,
    values: Map<String, Value>,
}

impl Told {
    /// One part.
    pub fn say(&mut self, key: &str, value: Value, line: impl Into<String>) {
        self.lines.push(line.into());
        self.values.insert(key.to_owned(), value);
    }

    /// Values without a line.
    pub fn note(&mut self, key: &str, value: Value) {
        self.values.insert(key.to_owned(), value);
    }

    /// Everything for machines.
    pub fn json(&self) -> Value {
        let mut all = self.values.clone();
        all.insert("targets".to_owned(), self.targets.iter().map(Target::json).collect());
        Value::Object(all)
    }
}
