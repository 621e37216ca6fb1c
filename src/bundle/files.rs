//! The bundle's files: what there must be, what is read, and the revision of it all.
//!
//! A file that nobody reads is told: a `forbid` in it would be a `forbid` that nobody keeps. Characters that no reader
//! sees are refused: what a reviewer reads must be what is decided by.

use std::collections::BTreeMap;

use aws_lc_rs::digest::{Context, SHA256};

use crate::problem::Problem;

pub(super) const SCHEMA: &str = "schema.cedarschema";
pub(super) const APIS: &str = "apis.yaml";
pub(super) const CLIENTS: &str = "clients.yaml";
pub(super) const GUARDRAILS: &str = "guardrails.cedar";

/// Files of a bundle. A large estate has a file per team and API; more is a wrong directory.
const MAX_FILES: usize = 512;
/// One file: a registry of 20,000 clients fits.
const MAX_FILE_BYTES: usize = 4 * 1024 * 1024;
/// All files together.
const MAX_BUNDLE_BYTES: usize = 16 * 1024 * 1024;
/// A file's name.
const MAX_NAME_BYTES: usize = 255;

/// The bundle's files as read: relative name and bytes, within limits. Reading the directory is for others.
pub struct Files(BTreeMap<String, Vec<u8>>);

impl Files {
    /// These files, each name once, `/` between folders.
    ///
    /// # Errors
    /// Every file that is over a limit or has a name that none may have.
    pub fn new(files: impl IntoIterator<Item = (String, Vec<u8>)>) -> Result<Self, Vec<Problem>> {
        let mut kept = BTreeMap::new();
        let mut problems = Vec::new();
        let mut left = MAX_BUNDLE_BYTES;
        for (name, content) in files {
            let mut refuse = |what: String, remedy: &str| problems.push(Problem::at(&name, "", 1, 1, what, remedy));
            if name.is_empty() || name.len() > MAX_NAME_BYTES || name.contains(char::is_control) {
                refuse("the file has no sound name".to_owned(), "give it a short name of printable characters");
            }
            if content.len() > MAX_FILE_BYTES {
                refuse(format!("the file has more than {MAX_FILE_BYTES} bytes"), "split it, or move it elsewhere");
            }
            let Some(rest) = left.checked_sub(content.len()).filter(|_| kept.len() < MAX_FILES) else {
                refuse(
                    format!("the bundle has more than {MAX_FILES} files or {MAX_BUNDLE_BYTES} bytes"),
                    "keep only the bundle's files in its directory",
                );
                break;
            };
            left = rest;
            if kept.contains_key(&name) {
                refuse("the file is here twice".to_owned(), "keep one of the two");
            }
            kept.insert(name, content);
        }
        if problems.is_empty() { Ok(Self(kept)) } else { Err(problems) }
    }

    /// SHA-256 over name and content of every file in the order of their names, each with its length before it; in
    /// hexadecimal.
    #[must_use]
    pub fn revision(&self) -> String {
        let mut context = Context::new(&SHA256);
        for (name, content) in &self.0 {
            for bytes in [name.as_bytes(), content] {
                context.update(&u64::try_from(bytes.len()).unwrap_or(u64::MAX).to_be_bytes());
                context.update(bytes);
            }
        }
        let digest = context.finish();
        let digits = digest.as_ref().iter().flat_map(|byte| [byte >> 4, byte & 0xF]);
        digits.filter_map(|digit| char::from_digit(u32::from(digit), 16)).collect()
    }

    /// The text of every file that is read, and what is wrong with the set as such.
    pub(super) fn texts(&self) -> (BTreeMap<&str, &str>, Vec<Problem>) {
        let mut texts = BTreeMap::new();
        let mut problems = missing(&self.0);
        for (name, content) in &self.0 {
            match is_read(name) {
                Ok(false) => {}
                Ok(true) => match text(name, content) {
                    Ok(text) => {
                        texts.insert(name.as_str(), text);
                    }
                    Err(problem) => problems.push(problem),
                },
                Err(problem) => problems.push(problem),
            }
        }
        (texts, problems)
    }
}

fn missing(files: &BTreeMap<String, Vec<u8>>) -> Vec<Problem> {
    let absent = |name: &str, purpose: &str| {
        Problem::at(name, "", 1, 1, "the file is missing", format!("add it: {purpose}; docs/policies.md shows it"))
    };
    let mut problems = Vec::new();
    for (name, purpose) in [
        (SCHEMA, "the types and actions that policies are written against"),
        (APIS, "the inventory of APIs"),
        (CLIENTS, "the registry of clients, `clients: []` if there is none"),
        (GUARDRAILS, "what nobody may do, whatever else is written; a comment if there is nothing of the kind"),
    ] {
        if !files.contains_key(name) {
            problems.push(absent(name, purpose));
        }
    }
    if !files.keys().any(|name| is_policy_file(name)) {
        problems
            .push(absent("policies.cedar", "nothing is allowed that no policy permits; any name with .cedar will do"));
    }
    problems
}

pub(super) fn is_policy_file(name: &str) -> bool {
    name.strip_suffix(".cedar").is_some_and(|stem| !stem.is_empty() && !name.contains('/'))
}

/// Whether a file is read here; a problem if somebody may think that it is.
fn is_read(name: &str) -> Result<bool, Problem> {
    let told = |what: &str, remedy: &str| Problem::at(name, "", 1, 1, what, remedy);
    let lower = name.to_ascii_lowercase();
    if name != GUARDRAILS && lower == GUARDRAILS {
        return Err(told("this is not the file of guardrails", "name it guardrails.cedar, in lower case"));
    }
    if matches!(name, SCHEMA | APIS | CLIENTS) || is_policy_file(name) {
        return Ok(true);
    }
    let ends_in = |extension: &str| lower.rsplit_once('.').is_some_and(|(_, end)| end == extension);
    if ends_in("cedar") {
        return Err(told("policies in this file would not be read", "put it beside schema.cedarschema, named *.cedar"));
    }
    // Tests of policies, and what people read.
    if name.starts_with("tests/") || ends_in("md") {
        return Ok(false);
    }
    Err(told(
        "this file is not read",
        "remove it, or give it one of these names: schema.cedarschema, *.cedar, apis.yaml, clients.yaml, *.md, tests/*",
    )
    .warning())
}

fn text<'f>(name: &str, content: &'f [u8]) -> Result<&'f str, Problem> {
    let text = core::str::from_utf8(content).map_err(|error| {
        let sound = content.get(..error.valid_up_to()).unwrap_or_default();
        let sound = core::str::from_utf8(sound).unwrap_or_default();
        unseen(name, sound, sound.len(), "the file is not UTF-8 text from here on", "save it as UTF-8")
    })?;
    // Cedar ends a comment at a lone carriage return, and people do not see that it does.
    let lone = |offset: usize| text.as_bytes().get(offset.saturating_add(1)) != Some(&b'\n');
    let found = text.char_indices().find(|(offset, each)| is_unseen(*each) || (*each == '\r' && lone(*offset)));
    match found {
        None => Ok(text),
        Some((offset, character)) => Err(unseen(
            name,
            text,
            offset,
            &format!("here is a character that nobody sees: U+{:04X}", u32::from(character)),
            "remove it; the text must read as it is meant",
        )),
    }
}

/// Controls, line breaks that only some readers know, marks of direction ("Trojan Source", CVE-2021-42574), characters
/// without width.
fn is_unseen(character: char) -> bool {
    let direction =
        matches!(character, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    let no_width = matches!(character, '\u{200b}'..='\u{200d}' | '\u{2060}' | '\u{feff}' | '\u{e0000}'..='\u{e007f}');
    let control = character.is_control() && !matches!(character, '\t' | '\n' | '\r');
    control || matches!(character, '\u{2028}' | '\u{2029}') || direction || no_width
}

fn unseen(name: &str, text: &str, offset: usize, what: &str, remedy: &str) -> Problem {
    let mut problem = Problem::at_offset(name, text, offset, what, remedy);
    problem.source_line = None;
    problem
}
