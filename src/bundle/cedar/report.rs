//! Cedar's diagnostics as problems: what, the place that Cedar names, and its help or what it expected.

use cedar_policy::ValidationError;
use miette::Diagnostic;

use super::scan;
use crate::problem::Findings;
use crate::yaml::shape::nearest;

/// Adds a diagnostic and those that came with it. `start` is where the text that Cedar read begins in the file, `known` a
/// remedy that is better than Cedar's.
pub(super) fn add(
    diagnostic: &dyn Diagnostic,
    source: &str,
    start: usize,
    known: Option<String>,
    findings: &mut Findings<'_>,
) {
    let what = diagnostic.to_string();
    let label = diagnostic.labels().and_then(|mut labels| labels.next());
    let at = match &label {
        Some(label) => start.saturating_add(label.offset()),
        None => start.saturating_add(mentioned(&what, source.get(start..).unwrap_or_default()).unwrap_or_default()),
    };
    let help = diagnostic.help().map(|help| help.to_string());
    let expected = label.as_ref().and_then(|label| label.label()).map(str::to_owned);
    let remedy = known.or(help).or(expected).unwrap_or_else(|| remedy(&what).to_owned());
    let place = findings.offset(at);
    findings.error(place, what, remedy);
    for related in diagnostic.related().into_iter().flatten() {
        add(related, source, start, None, findings);
    }
}

/// The place that a diagnostic names, in the text that Cedar read.
pub(super) fn offset(diagnostic: &dyn Diagnostic) -> Option<usize> {
    Some(diagnostic.labels()?.next()?.offset())
}

/// What an author does about an action or a path parameter that the schema does not declare; Cedar names what is spelled
/// alike, however far it is. `text` begins where the diagnostic points.
pub(super) fn undeclared<'k>(
    error: &ValidationError,
    text: &str,
    actions: impl Iterator<Item = &'k str> + Clone,
) -> Option<String> {
    let what = error.to_string();
    if let ValidationError::UnrecognizedActionId(_) = error {
        let (_, named) = what.rsplit_once("unrecognized action `")?;
        let id = named.strip_prefix("Action::\"")?.strip_suffix("\"`")?;
        let declare = "declare it in schema.cedarschema, or remove the policy";
        return Some(match nearest(id, actions) {
            Some(near) => format!("did you mean Action::\"{near}\"? If not, {declare}"),
            None => declare.to_owned(),
        });
    }
    let ValidationError::UnsafeAttributeAccess(_) = error else { return None };
    let (_, access) = what.split_once("attribute `")?;
    let (attributes, rest) = access.split_once("` in context for ")?;
    let action = rest.strip_suffix(" not found")?;
    let parameter = attributes.strip_prefix("http.path")?;
    if let Some(parameter) = parameter.strip_prefix('.') {
        return Some(format!(
            "declare `{parameter}: String` in `path` in the context type of {action} in schema.cedarschema, as the path in \
             apis.yaml names it"
        ));
    }
    let tokens = scan::tokens(text);
    let mut after = tokens.iter().skip_while(|token| !token.is("path")).skip(1);
    let dot = after.next().filter(|token| token.is("."));
    let name = dot.and_then(|_| after.next()?.name()).unwrap_or("…");
    Some(format!(
        "declare `path: {{ {name}: String }}` in `http` in the context type of {action} in schema.cedarschema"
    ))
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
