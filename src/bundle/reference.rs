//! The tables of `docs/policies.md`, printed from what the code goes by: attributes, keys, denials.

use crate::decision::denial::{Denial, Softens};
use crate::decision::policy::attributes::{self, Attribute, Kind, Presence};
use crate::yaml::reference::table;

/// Each table in Markdown, with the name that its place in the page has: `<!-- table: NAME -->` … `<!-- end -->`.
#[must_use]
pub fn reference() -> Vec<(&'static str, String)> {
    vec![
        ("attributes", attribute_tables()),
        ("apis.yaml", table(&super::apis_schema(), "apis")),
        ("clients.yaml", table(&super::clients_schema(), "clients")),
        ("denials", denials()),
    ]
}

fn attribute_tables() -> String {
    let tables = [
        ("The principal, `Client`", "principal", attributes::CLIENT),
        ("The resource, `Api`", "resource", attributes::API),
        ("The context", "context", attributes::CONTEXT),
    ];
    let mut lines = Vec::new();
    for (title, path, table) in tables {
        lines.push(format!("**{title}**\n\n| attribute | type | there | meaning |\n|---|---|---|---|"));
        push_rows(&mut lines, path, None, table);
        lines.push(String::new());
    }
    lines.join("\n").trim_end().to_owned()
}

/// `parent` is the nearest record around that is not always there.
fn push_rows(lines: &mut Vec<String>, path: &str, parent: Option<&str>, table: &[Attribute]) {
    for row in table {
        let path = format!("{path}.{}", row.name);
        let there = match (row.presence, parent) {
            (Presence::Always, None) => "always".to_owned(),
            (Presence::Always, Some(parent)) => format!("as `{parent}`"),
            (Presence::ForClients, _) => "for a `Client`; not for `Anonymous`".to_owned(),
            (Presence::Sometimes, _) => "not always".to_owned(),
        };
        lines.push(format!("| `{path}` | {} | {there} | {} |", type_words(&row.kind), row.meaning));
        if let Kind::Record(members) = row.kind {
            let parent = if row.presence == Presence::Always { parent } else { Some(path.as_str()) };
            push_rows(lines, &path, parent, members);
        }
    }
}

fn type_words(kind: &Kind) -> String {
    match kind {
        Kind::Claims => "record of your claims, each optional".to_owned(),
        Kind::PathParameters => "record of your parameters, each `String`".to_owned(),
        Kind::Record(_) => "record".to_owned(),
        Kind::Text | Kind::Long | Kind::Bool | Kind::Datetime | Kind::Ip | Kind::TextSet => {
            format!("`{}`", kind.words())
        }
    }
}

fn denials() -> String {
    let mut lines = vec!["| class | code | HTTP | observe mode | what happened |\n|---|---|---|---|---|".to_owned()];
    for denial in Denial::ALL {
        let row = denial.row();
        let softens = match row.softens {
            Softens::Yes => "can relax it",
            Softens::Never => "never",
        };
        let (class, meaning) = (row.class.name(), row.meaning.replace('|', "\\|"));
        lines.push(format!("| {class} | `{}` | {} | {softens} | {meaning} |", row.slug, row.status));
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]
    use super::*;

    /// The page with each table put in its place.
    fn renewed(page: &str) -> String {
        reference().into_iter().fold(page.to_owned(), |page, (name, table)| {
            let mark = format!("<!-- table: {name} -->\n");
            let (before, rest) = page.split_once(&mark).expect(name);
            let (_, after) = rest.split_once("<!-- end -->").expect(name);
            format!("{before}{mark}\n{table}\n\n<!-- end -->{after}")
        })
    }

    #[test]
    fn the_page_is_up_to_date() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/policies.md");
        let page = std::fs::read_to_string(path).unwrap();
        if std::env::var_os("UPDATE_DOCS").is_some() {
            std::fs::write(path, renewed(&page)).unwrap();
        }
        let page = std::fs::read_to_string(path).unwrap();
        assert!(page == renewed(&page), "docs/policies.md is stale: run UPDATE_DOCS=1 cargo test bundle");
    }

    #[test]
    fn every_attribute_says_what_it_means() {
        fn walk(table: &[Attribute]) -> usize {
            let below = |row: &Attribute| if let Kind::Record(members) = row.kind { walk(members) } else { 0 };
            table.iter().inspect(|row| assert!(row.meaning.len() > 5, "{}", row.name)).map(|row| 1 + below(row)).sum()
        }
        assert!(walk(attributes::CONTEXT) + walk(attributes::CLIENT) + walk(attributes::API) > 30);
    }
}
