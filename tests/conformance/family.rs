//! The families of clauses: which ids there are, which rows show them, and what is left out and why.

use crate::row::Row;
use crate::{
    access_token, bearer, certificate_binding, check_request, client_cert, dpop, failures, introspection, jose,
    jwt_practice, own, revocation, security_events, status_list, thumbprint, xfcc,
};

/// One section of the specification.
pub struct Family {
    /// The letters of its ids.
    pub prefix: &'static str,
    /// What it is about.
    pub title: &'static str,
    /// Every id.
    pub ids: &'static [&'static str],
    /// Its rows.
    pub rows: fn() -> Vec<Row>,
    /// Clauses that are checked on every answer of every row.
    pub throughout: &'static [(&'static str, &'static str)],
    /// Clauses, or parts of them, that no row shows, and why.
    pub left_out: &'static [(&'static str, &'static str)],
}

impl Family {
    /// Its rows in the order of its ids.
    pub fn table(&self) -> Vec<Row> {
        let mut rows = (self.rows)();
        rows.sort_by_key(|row| self.ids.iter().position(|id| *id == row.id));
        rows
    }
}

/// In the order of the document.
pub const FAMILIES: &[Family] = &[
    dpop::FAMILY,
    certificate_binding::FAMILY,
    bearer::FAMILY,
    access_token::FAMILY,
    jwt_practice::FAMILY,
    jose::FAMILY,
    thumbprint::FAMILY,
    introspection::FAMILY,
    client_cert::FAMILY,
    xfcc::FAMILY,
    check_request::FAMILY,
    failures::FAMILY,
    revocation::FAMILY,
    status_list::FAMILY,
    security_events::FAMILY,
    own::FAMILY,
];

#[test]
fn every_clause_has_rows_or_a_reason() {
    for family in FAMILIES {
        let rows = (family.rows)();
        for row in &rows {
            assert!(family.ids.contains(&row.id), "{} is no id of {}", row.id, family.prefix);
        }
        for id in family.ids {
            let told = family.throughout.iter().chain(family.left_out).any(|(told, _)| told == id);
            assert!(told || rows.iter().any(|row| row.id == *id), "{id} has neither rows nor a reason");
        }
    }
}

#[test]
fn every_clause_that_refuses_also_allows() {
    for family in FAMILIES {
        let rows = (family.rows)();
        for id in family.ids {
            let of_id = || rows.iter().filter(|row| row.id == *id);
            let allows = of_id().any(|row| row.steps.iter().any(|step| step.expect.allows()));
            assert!(allows || !of_id().any(Row::refuses), "{id} refuses and never allows");
        }
    }
}

#[test]
fn no_two_rows_say_the_same() {
    for family in FAMILIES {
        let mut sentences: Vec<_> = (family.rows)().into_iter().map(|row| (row.id, row.sentence)).collect();
        sentences.sort_unstable();
        let twice = sentences.windows(2).find(|pair| pair[0] == pair[1]);
        assert!(twice.is_none(), "{twice:?}");
    }
}
