//! From facts to the operation of the API inventory that the request is for, on the exact bytes that Envoy routes on.
//!
//! Proves: one declared host, one declared operation. An exact path is looked up before templates, and when it is declared for
//! other methods only, no template is asked; nor is one for another spelling of an exact path, which is ambiguous. Templates that could match the same path are refused when the inventory is built.
//! Whatever is not declared is denied.

use crate::decision::denial::Denial;
use crate::decision::facts::{RequestFacts, octets};
use crate::decision::leniency::Leniency;
use crate::decision::lookup::{Lookup, LookupSet};
use crate::decision::target::Origin;
pub use crate::decision::template::PathTemplate;

/// An API: whose it is and what it demands.
#[derive(Debug)]
pub struct Api {
    /// Its name in the inventory; `Api::"…"` in Cedar.
    pub id: String,
    /// Who answers for it.
    pub owner: String,
    /// How much harm a wrong allow does.
    pub sensitivity: Sensitivity,
    /// Request host (lower case) and the public origin that `htu` names.
    pub hosts: Vec<(String, Origin)>,
    /// Issuers whose tokens it accepts.
    pub issuers: Vec<String>,
    /// Narrows the issuers' audiences, when given.
    pub audiences: Option<Vec<String>>,
    /// Of which tokens an issuer is asked, and which issuer; nobody is asked if absent.
    pub introspection: Option<Introspects>,
    /// Which proof it demands.
    pub proof: ProofDemand,
    /// Whether a proof must carry a nonce of ours (RFC 9449 §9).
    pub nonces: bool,
    /// `exp − iat` at most, in seconds; narrows the issuer's.
    pub max_token_lifetime_seconds: Option<i64>,
    /// Whether a client must be in the registry.
    pub registered_clients: bool,
    /// Observe mode and exceptions.
    pub leniency: Leniency,
    /// Whether method override headers are let through.
    pub allow_method_override: bool,
    /// What can be done with it.
    pub operations: Vec<Operation>,
}

/// Of which tokens an issuer is asked (RFC 7662).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Introspects {
    /// The one issuer that is asked: a token is never shown to another.
    pub issuer: String,
    /// Whether it is asked about JWTs too, once they have been verified here.
    pub jwts_too: bool,
}

/// One thing that can be done with an API.
#[derive(Debug)]
pub struct Operation {
    /// Methods, case kept.
    pub methods: Vec<String>,
    /// Its path.
    pub path: PathTemplate,
    /// The Cedar action.
    pub action: String,
    /// Scopes that the token must have, all of them.
    pub scopes: Vec<String>,
    /// No credential is asked for.
    pub public: bool,
}

/// How much harm a wrong allow does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Sensitivity {
    /// Little.
    Low,
    /// Some.
    Medium,
    /// Much.
    High,
}

impl Sensitivity {
    /// The word used in the inventory and in Cedar.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
        }
    }
}

/// Which proof an API demands of every sender.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProofDemand {
    /// Either of the two.
    Required,
    /// A certificate-bound token (RFC 8705).
    Mtls,
    /// A DPoP-bound token (RFC 9449).
    Dpop,
    /// None; a constraint that the token carries is checked all the same.
    None,
}

/// Every declared API, indexed for routing.
#[derive(Debug, Default)]
pub struct Inventory {
    apis: Vec<Api>,
    hosts: Lookup<String, HostRoutes>,
}

#[derive(Debug, Default)]
struct HostRoutes {
    /// (API, its origin) of every API at this host.
    origins: Vec<(usize, usize)>,
    exact: Lookup<String, Vec<(usize, usize)>>,
    /// The exact paths, percent-decoded: whatever else decodes to one of them is the same path to many servers.
    decoded: LookupSet<Vec<u8>>,
    /// The same in lower case, which is the same path to some servers.
    folded: LookupSet<Vec<u8>>,
    /// The length of the longest of them.
    longest: usize,
    /// By number of segments.
    templates: Lookup<usize, Vec<(usize, usize)>>,
}

impl HostRoutes {
    /// Whether a lenient server takes this path, which is a template's to us, for an exact one: `/teams/ME`, `/teams/me.json` and
    /// `/teams/me.` beside `/teams/me` and `/teams/{id}`. Letter case, a format suffix, and dots, spaces and `;…` at the end go.
    fn is_loosely_exact(&self, path: &str) -> bool {
        let Some(mut path) = octets(path) else { return true };
        path.make_ascii_lowercase();
        let known = |path: &[u8]| self.folded.contains(path);
        let end = path.iter().rposition(|byte| *byte == b'/').map_or(0, |slash| slash.saturating_add(1));
        // Every shorter form of the last segment that ends before a dot, a space or a semicolon.
        known(&path)
            || (end..path.len().min(self.longest.saturating_add(1)))
                .filter(|at| path.get(*at).is_some_and(|byte| matches!(byte, b'.' | b' ' | b';' | b'\t')))
                .any(|at| path.get(..at).is_some_and(known))
    }
}

/// Two operations that one request could mean.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ambiguity {
    /// (index of the API, index of its operation) of the later one.
    pub operation: (usize, usize),
    /// The other one's API and action.
    pub other: (String, String),
    /// The host where they meet.
    pub host: String,
}

impl Inventory {
    /// Indexes the APIs.
    ///
    /// # Errors
    /// Every pair of operations that one request could mean.
    pub fn new(apis: Vec<Api>) -> Result<Self, Vec<Ambiguity>> {
        let mut hosts: Lookup<String, HostRoutes> = Lookup::default();
        let mut ambiguities = Vec::new();
        for (api_index, api) in apis.iter().enumerate() {
            for (host_index, (host, _)) in api.hosts.iter().enumerate() {
                let routes = hosts.entry(host.clone()).or_default();
                routes.origins.push((api_index, host_index));
                for (index, operation) in api.operations.iter().enumerate() {
                    let list = if operation.path.is_exact() {
                        let path = operation.path.sample();
                        let plain = octets(&path);
                        routes.folded.extend(plain.as_ref().map(|path| path.to_ascii_lowercase()));
                        routes.longest = routes.longest.max(path.len());
                        routes.decoded.extend(plain);
                        routes.exact.entry(path).or_default()
                    } else {
                        routes.templates.entry(operation.path.segments()).or_default()
                    };
                    for other in list.iter().filter_map(|at| find(&apis, *at)) {
                        if ambiguous(operation, other.1) {
                            ambiguities.push(Ambiguity {
                                operation: (api_index, index),
                                other: (other.0.id.clone(), other.1.action.clone()),
                                host: host.clone(),
                            });
                        }
                    }
                    list.push((api_index, index));
                }
            }
        }
        if ambiguities.is_empty() { Ok(Self { apis, hosts }) } else { Err(ambiguities) }
    }

    /// Every API.
    #[must_use]
    pub fn apis(&self) -> &[Api] {
        &self.apis
    }

    /// The API at a host, if it has one alone: what is asked there can be meant for no other.
    #[must_use]
    pub fn only_at(&self, host: &str, port: Option<u16>) -> Option<&Api> {
        let mut here = self.at_host(host, port).map(|(api, _)| api);
        here.next().filter(|_| here.next().is_none())
    }

    /// The APIs at a host, each with its public origin there.
    pub fn at_host(&self, host: &str, port: Option<u16>) -> impl Iterator<Item = (&Api, &Origin)> {
        let routes = self.hosts.get(&host.to_ascii_lowercase());
        let origins = routes.map(|routes| routes.origins.as_slice()).unwrap_or_default();
        origins
            .iter()
            .filter_map(|(api, host)| {
                let api = self.apis.get(*api)?;
                api.hosts.get(*host).map(|(_, origin)| (api, origin))
            })
            .filter(move |(_, origin)| fits(origin, port))
    }
}

fn find(apis: &[Api], (api, operation): (usize, usize)) -> Option<(&Api, &Operation)> {
    let api = apis.get(api)?;
    Some((api, api.operations.get(operation)?))
}

/// Same paths need different methods; paths that overlap otherwise are refused whatever the methods.
fn ambiguous(one: &Operation, two: &Operation) -> bool {
    if one.path.same_shape(&two.path) {
        one.methods.iter().any(|method| two.methods.contains(method))
    } else {
        one.path.overlaps(&two.path)
    }
}

/// The operation that a request is for.
pub struct Route<'s> {
    api: &'s Api,
    operation: &'s Operation,
    origin: &'s Origin,
    parameters: Vec<(&'s str, String)>,
}

impl<'s> Route<'s> {
    /// The API.
    #[must_use]
    pub fn api(&self) -> &'s Api {
        self.api
    }

    /// Its operation.
    #[must_use]
    pub fn operation(&self) -> &'s Operation {
        self.operation
    }

    /// The public origin of the host that was asked.
    #[must_use]
    pub fn origin(&self) -> &'s Origin {
        self.origin
    }

    /// The path parameters, percent-decoded.
    #[must_use]
    pub fn parameters(&self) -> &[(&'s str, String)] {
        &self.parameters
    }
}

/// Finds the operation that a request is for.
///
/// # Errors
/// A denial of class `route`, or `request_method_override`.
pub fn resolve<'s>(inventory: &'s Inventory, facts: &RequestFacts<'_>) -> Result<Route<'s>, Denial> {
    let host = facts.host().to_ascii_lowercase();
    let routes = inventory.hosts.get(&host).ok_or(Denial::ApiUnknown)?;
    let at_port = |api: &usize| origin_of(inventory, routes, *api).filter(|origin| fits(origin, facts.port()));
    if !routes.origins.iter().any(|(api, _)| at_port(api).is_some()) {
        return Err(Denial::ApiUnknown);
    }
    let parts: Vec<&str> = facts.path().split('/').skip(1).collect();
    let (candidates, exact) = if let Some(list) = routes.exact.get(facts.path()) {
        (list.as_slice(), true)
    } else {
        // `/teams/%40me` beside `/teams/@me` and `/teams/{id}`: one operation to us, the other to a server that decodes first.
        if octets(facts.path()).is_none_or(|path| routes.decoded.contains(&path)) {
            return Err(Denial::RequestTargetAmbiguous);
        }
        (routes.templates.get(&parts.len()).map(Vec::as_slice).unwrap_or_default(), false)
    };
    for (api_index, index) in candidates {
        let (Some(origin), Some((api, operation))) = (at_port(api_index), find(&inventory.apis, (*api_index, *index)))
        else {
            continue;
        };
        if !operation.methods.iter().any(|method| method == facts.method()) {
            continue;
        }
        let Some(parameters) = (if exact { Some(Vec::new()) } else { operation.path.matches(&parts) }) else {
            continue;
        };
        if !exact && routes.is_loosely_exact(facts.path()) {
            return Err(Denial::RequestTargetAmbiguous);
        }
        if facts.api_hint().is_some_and(|hint| hint != api.id.as_bytes()) {
            return Err(Denial::ApiMismatch);
        }
        if facts.overrides_method() && !api.allow_method_override {
            return Err(Denial::RequestMethodOverride);
        }
        return Ok(Route { api, operation, origin, parameters });
    }
    Err(Denial::OperationUnknown)
}

fn origin_of<'s>(inventory: &'s Inventory, routes: &HostRoutes, api: usize) -> Option<&'s Origin> {
    let (_, host) = routes.origins.iter().find(|(index, _)| *index == api)?;
    inventory.apis.get(api)?.hosts.get(*host).map(|(_, origin)| origin)
}

/// A mesh may strip the port; a port that is there must be the public one.
fn fits(origin: &Origin, port: Option<u16>) -> bool {
    port.is_none_or(|port| port == origin.port())
}

#[cfg(test)]
mod tests;
