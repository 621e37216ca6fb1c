//! Which Redis is meant, where Sentinels say which of several is the primary.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Layout;
use crate::problem::Findings;
use crate::yaml::Node;

/// Which Redis the Sentinels watch.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Written {
    /// The name by which they know it: what `sentinel monitor` calls it.
    primary: String,
    /// The ACL user at the Sentinels; `default` if absent. Needs `password_file`.
    #[serde(default)]
    username: Option<String>,
    /// A file with the password at the Sentinels, alone on its line. Redis' own is not shown to them.
    #[serde(default)]
    password_file: Option<PathBuf>,
}

/// Which Redis the Sentinels watch, and who we are for them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sentinel {
    /// Its name.
    pub primary: String,
    /// The ACL user.
    pub username: Option<String>,
    /// Where the password is.
    pub password_file: Option<PathBuf>,
}

pub(super) fn settle(written: Option<Written>, node: &Node, findings: &mut Findings) -> Option<Sentinel> {
    let Written { primary, username, password_file } = written?;
    let password_file = password_file.map(|path| findings.path(node.key("password_file"), &path));
    Some(Sentinel { primary, username, password_file })
}

/// What the section, the layout and the number of addresses need of each other; `node` is the section `redis`.
pub(super) fn check(sentinel: Option<&Written>, mode: Layout, addresses: usize, node: &Node, findings: &mut Findings) {
    match (sentinel, mode) {
        (None, Layout::Sentinel) => {
            let what = "nobody says which Redis the Sentinels are asked about";
            findings.error(node.key("mode").at, what, "add `sentinel: { primary: NAME }`");
        }
        (Some(_), Layout::Single | Layout::Cluster) => {
            let what = "no Sentinel is asked";
            findings.error(node.key("sentinel").at, what, "write `mode: sentinel`, or remove `sentinel`");
        }
        (Some(sentinel), Layout::Sentinel) => {
            if sentinel.username.is_some() && sentinel.password_file.is_none() {
                let at = node.key("sentinel").key("username").at;
                findings.error(at, "a user without a password", "add `password_file`");
            }
            if addresses < 3 {
                findings.warning(
                    node.key("addresses").at,
                    "most of these Sentinels are all of them: without any one of them there is no primary",
                    "name all the Sentinels there are, three at least",
                );
            }
        }
        (None, Layout::Single | Layout::Cluster) => {}
    }
}
