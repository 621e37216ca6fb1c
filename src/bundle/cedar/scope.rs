//! What a policy surely says of a kind of request, from its text alone: whether it can apply, must apply, or neither is
//! known. For warnings only: Cedar decides.

use cedar_policy::{ActionConstraint, EntityUid, PrincipalConstraint, ResourceConstraint};
use serde_json::Value;

use super::written::{Condition, WrittenPolicy, path};
use crate::decision::route::Api;

/// The scope of a policy.
pub(super) struct Scope {
    principal: PrincipalConstraint,
    action: ActionConstraint,
    resource: ResourceConstraint,
}

impl Scope {
    pub fn of(written: &WrittenPolicy<'_>) -> Self {
        Self {
            principal: written.policy().principal_constraint(),
            action: written.policy().action_constraint(),
            resource: written.policy().resource_constraint(),
        }
    }

    /// Whether it covers an action; `uids` are the action and its groups.
    pub fn covers(&self, uids: &[EntityUid]) -> bool {
        match &self.action {
            ActionConstraint::Any => true,
            ActionConstraint::Eq(only) => uids.first() == Some(only),
            ActionConstraint::In(list) => list.iter().any(|uid| uids.contains(uid)),
        }
    }

    pub fn is_about_api(&self, id: &str) -> bool {
        match &self.resource {
            ResourceConstraint::Any => true,
            ResourceConstraint::Is(name) => name.basename() == "Api",
            // Nothing is in an API but itself.
            ResourceConstraint::In(uid) | ResourceConstraint::Eq(uid) | ResourceConstraint::IsIn(_, uid) => {
                uid.id().unescaped() == id
            }
        }
    }

    /// Whether principals of this type are meant at all.
    pub fn is_about(&self, principal: &str) -> bool {
        match &self.principal {
            PrincipalConstraint::Any => true,
            PrincipalConstraint::Is(name) => name.basename() == principal,
            PrincipalConstraint::In(uid) | PrincipalConstraint::Eq(uid) | PrincipalConstraint::IsIn(_, uid) => {
                uid.type_name().basename() == principal
            }
        }
    }

    /// The only principal that is meant, if there is one.
    pub fn principal(&self) -> Option<&EntityUid> {
        match &self.principal {
            PrincipalConstraint::Any | PrincipalConstraint::Is(_) => None,
            PrincipalConstraint::In(uid) | PrincipalConstraint::Eq(uid) | PrincipalConstraint::IsIn(_, uid) => {
                Some(uid)
            }
        }
    }
}

/// A policy as a case is held against it.
pub(super) struct Rule<'p> {
    scope: Scope,
    /// `None` if they are not known.
    conditions: Option<&'p [Condition]>,
}

impl<'p> Rule<'p> {
    pub fn of(written: &'p WrittenPolicy<'_>) -> Self {
        Self { scope: Scope::of(written), conditions: written.conditions() }
    }
}

/// A kind of request: some principal of a type, an action, an API.
pub(super) struct Case<'c> {
    /// `Client` or `Anonymous`.
    pub principal: &'static str,
    /// The action and its groups.
    pub action: &'c [EntityUid],
    pub api: &'c Api,
}

impl Case<'_> {
    /// Whether every such request meets a policy's scope and conditions, or none does; `None` if its text does not say.
    pub fn meets(&self, rule: &Rule<'_>) -> Option<bool> {
        let scope = &rule.scope;
        if !(scope.is_about(self.principal) && scope.is_about_api(&self.api.id) && scope.covers(self.action)) {
            return Some(false);
        }
        // There is one Anonymous, and there are many clients.
        let whole = if scope.principal().is_some() && self.principal == "Client" { None } else { Some(true) };
        let each = rule.conditions?.iter().map(|condition| {
            let holds = self.holds(&condition.body);
            if condition.must_hold { holds } else { not(holds) }
        });
        each.fold(whole, and)
    }

    /// Of an expression in Cedar's JSON form.
    fn holds(&self, expression: &Value) -> Option<bool> {
        let (operator, arguments) = expression.as_object()?.iter().next()?;
        let side = |name: &str| arguments.get(name).and_then(|side| self.holds(side));
        match operator.as_str() {
            "Value" => arguments.as_bool(),
            "!" => not(side("arg")),
            "&&" => and(side("left"), side("right")),
            "||" => not(and(not(side("left")), not(side("right")))),
            "if-then-else" => match side("if") {
                Some(true) => side("then"),
                Some(false) => side("else"),
                None => side("then").filter(|then| side("else") == Some(*then)),
            },
            "is" => self.is(arguments),
            "has" => self.has(arguments),
            "==" => self.equals(arguments),
            "!=" => not(self.equals(arguments)),
            "in" => self.is_in(arguments),
            _ => None,
        }
    }

    fn is(&self, test: &Value) -> Option<bool> {
        let known = match variable(test.get("left")?)? {
            "principal" => self.principal,
            "resource" => "Api",
            _ => return None,
        };
        let is = test.get("entity_type")? == known;
        // `is … in …` says more.
        if is && test.get("in").is_some() { None } else { Some(is) }
    }

    /// There are a token and a proof for a client, and for nobody else; see `attributes::CONTEXT`.
    fn has(&self, test: &Value) -> Option<bool> {
        let mut names = path(test.get("left")?)?;
        let test = test.get("attr")?;
        // One name, or `has a.b.c`.
        names.extend(test.as_str());
        names.extend(test.as_array().into_iter().flatten().filter_map(Value::as_str));
        let client = self.principal == "Client";
        match names.as_slice() {
            ["context", "token" | "proof"] => Some(client),
            ["context", "token" | "proof", ..] | ["principal", ..] if !client => Some(false),
            _ => None,
        }
    }

    fn equals(&self, sides: &Value) -> Option<bool> {
        let (left, right) = (sides.get("left")?, sides.get("right")?);
        let either = |one: &Value, other: &Value| match path(one)?.as_slice() {
            ["resource", "sensitivity"] => Some(literal(other)? == self.api.sensitivity.name()),
            ["resource", "owner"] => Some(literal(other)? == self.api.owner),
            [name] => self.names(name, other),
            _ => None,
        };
        either(left, right).or_else(|| either(right, left))
    }

    fn is_in(&self, sides: &Value) -> Option<bool> {
        let name = variable(sides.get("left")?)?;
        let right = sides.get("right")?;
        let set = right.get("Set").and_then(Value::as_array);
        let mut any = Some(false);
        for one in set.into_iter().flatten().chain(set.is_none().then_some(right)) {
            let known = match name {
                "action" => {
                    let id = entity(one)?.1;
                    Some(self.action.iter().any(|uid| uid.id().unescaped() == id))
                }
                _ => self.names(name, one),
            };
            any = not(and(not(any), not(known)));
        }
        any
    }

    /// Whether a variable is the entity of a literal.
    fn names(&self, variable: &str, written: &Value) -> Option<bool> {
        let (kind, id) = entity(written)?;
        match variable {
            "principal" if kind != self.principal => Some(false),
            "principal" if kind == "Anonymous" => Some(id == "anonymous"),
            "resource" => Some(kind == "Api" && id == self.api.id),
            "action" => Some(self.action.first()?.id().unescaped() == id),
            _ => None,
        }
    }
}

fn not(known: Option<bool>) -> Option<bool> {
    known.map(|known| !known)
}

/// What cannot be evaluated denies the request, so an operand that is surely false is enough.
fn and(left: Option<bool>, right: Option<bool>) -> Option<bool> {
    match (left, right) {
        (Some(false), _) | (_, Some(false)) => Some(false),
        (Some(true), Some(true)) => Some(true),
        _ => None,
    }
}

fn variable(expression: &Value) -> Option<&str> {
    expression.get("Var")?.as_str()
}

fn literal(expression: &Value) -> Option<&str> {
    expression.get("Value")?.as_str()
}

/// `Type::"id"`.
fn entity(expression: &Value) -> Option<(&str, &str)> {
    let entity = expression.get("Value")?.get("__entity")?;
    Some((entity.get("type")?.as_str()?, entity.get("id")?.as_str()?))
}
