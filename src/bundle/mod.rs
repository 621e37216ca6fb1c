//! TEMPORARY: replaced by the merge of branch `bundle`.
use crate::decision::snapshot::Bundle;
use crate::decision::token::IssuerRules;
use crate::problem::Problem;
use std::collections::BTreeMap;
/// t
pub struct Files(BTreeMap<String, Vec<u8>>);
/// t
pub struct Surroundings<'a> {
    /// t
    pub issuers: &'a [IssuerRules],
    /// t
    pub fapi2: bool,
    /// t
    pub now: i64,
}
impl Files {
    /// t
    #[must_use]
    pub fn new(f: BTreeMap<String, Vec<u8>>) -> Self {
        Self(f)
    }
    /// t
    #[must_use]
    pub fn revision(&self) -> String {
        self.0.len().to_string()
    }
}
/// t
/// # Errors
/// t
pub fn load(_: &Files, _: &Surroundings<'_>) -> Result<(Bundle, Vec<Problem>), Vec<Problem>> {
    Err(vec![])
}
