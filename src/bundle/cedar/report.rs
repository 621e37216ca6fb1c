//! Cedar's diagnostics as problems: what, the place that Cedar names, and its help or what it expected.

use miette::Diagnostic;

use crate::problem::Findings;

/// Adds a diagnostic and those that came with it. `start` is where the text that Cedar read begins in the file, `fallback`
/// the place of a diagnostic that names none.
pub(super) fn add(
    diagnostic: &dyn Diagnostic,
    source: &str,
    start: usize,
    fallback: usize,
    findings: &mut Findings<'_>,
) {
    let what = diagnostic.to_string();
    let label = diagnostic.labels().and_then(|mut labels| labels.next());
    let at = match &label {
        Some(label) => start.saturating_add(label.offset()),
        None => start.saturating_add(mentioned(&what, source.get(start..).unwrap_or_default()).unwrap_or(fallback)),
    };
    let help = diagnostic.help().map(|help| help.to_string());
    let expected = label.as_ref().and_then(|label| label.label()).map(str::to_owned);
    let remedy = help.or(expected).unwrap_or_else(|| remedy(&what).to_owned());
    let place = findings.offset(at);
    findings.error(place, what, remedy);
    for related in diagnostic.related().into_iter().flatten() {
        add(related, source, start, fallback, findings);
    }
}

/// The place that a diagnostic names, in the text that Cedar read.
pub(super) fn offset(diagnostic: &dyn Diagnostic) -> Option<usize> {
    Some(diagnostic.labels()?.next()?.offset())
}

fn remedy(what: &str) -> &'static str {
    if what.contains("policy is impossible") || what.contains("applicable action") {
        "let scope and conditions agree with the principals and resources that the schema gives to the action"
    } else if what.contains("shadows a builtin") {
        "choose another name"
    } else {
        "correct it as the schema and Cedar's grammar say; docs/policies.md shows examples"
    }
}

/// Where a text that the message quotes is written first, with its quotes if it is quoted there too.
fn mentioned(message: &str, source: &str) -> Option<usize> {
    let quoted = |quote: char| message.split(quote).skip(1).step_by(2).filter(|text| !text.is_empty());
    let literal = quoted('"').find_map(|text| source.find(&format!("\"{text}\"")));
    literal.or_else(|| quoted('"').chain(quoted('`')).find_map(|text| source.find(text)))
}
